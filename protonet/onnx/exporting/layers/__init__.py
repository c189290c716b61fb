"""Layer types in ONNX, one file per family."""
