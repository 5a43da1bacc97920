"""How does a model turn a batch into arrays?

Read in this order: manifest (what a model says of itself), store (where it lies, and that it is
what it says), runtime and runtimes/ (arrays in, arrays out), tokens, pairs and feeding (texts to
arrays), batches and batch_queue (many callers, one model), then encoder, tagger, cross_encoder and
late_interaction (both by pair_scoring), which are the ports' implementations.
"""

import os

# At its import ONNX Runtime writes a device's id and a database of events below the home folder,
# and sends them. Its own function that forbids it can be called only after that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
