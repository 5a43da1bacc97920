"""Which library runs a graph?

Each module is one answer behind the port in inference/runtime.py. None is imported before it is
asked for: only ONNX Runtime is always installed. `loading` has what they share, `choice` says
which one a model gets, `bench` and `parity` measure them against each other.
"""
