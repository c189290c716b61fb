"""ONNX operators as layers, one file per family."""
