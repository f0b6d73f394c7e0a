"""From a model to a verified ONNX file."""

__all__: list[str] = []
