"""The old name of `unbraid.engines.onnx.alone`."""

from unbraid.engines.onnx.alone import OnnxSeparator

__all__ = ["OnnxSeparator"]
