"""How does a model turn a batch into arrays?

Read in this order: manifest (what a model says of itself), store (where it lies, and that it is
what it says), onnx_runtime (arrays in, arrays out), tokens and batches (texts to arrays), then
encoder, tagger and late_interaction, which are the ports' implementations.
"""
