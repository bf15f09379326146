"""Networks inside exported ONNX files: known by their ends, not by their layers."""
