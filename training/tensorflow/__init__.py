"""Models as TensorFlow's SavedModel and as TFLite, made from their ONNX graphs in float32."""
