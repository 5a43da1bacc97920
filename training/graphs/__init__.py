"""BERT's graphs for ONNX, node by node, and how they become int8."""
