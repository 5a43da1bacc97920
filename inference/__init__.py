"""How does a model turn a batch into arrays?

Read in this order: `models/` (manifests, and where files lie), `runtime` and `runtimes/` (arrays
in, arrays out), `preparing/` (the form of a graph that a runtime loads), `texts/` (texts to token
numbers, outputs to answers), `serving/` (many callers, one model; models elsewhere). `loaded` has
what all loaded models share. `encoder`, `tagger`, `cross_encoder`, `late_interaction` (both by
`pair_scoring`), `shot_detector` and `picture_captioner` implement the ports. `measuring/` says
where a model's time goes.
"""

import os
import sys

# When it is imported, ONNX Runtime writes a device's id and a database of events below the home
# folder, and sends them. Its own function that forbids it can be called only after that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# OpenVINO sends an event when it is imported, and this module sends it; without it a stub does not.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
