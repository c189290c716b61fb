"""Reading an ONNX model as a net."""
