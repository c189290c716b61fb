"""Writing a net as ONNX."""
