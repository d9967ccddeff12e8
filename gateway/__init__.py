"""PaddleOCR-VL Service: a document in, its Markdown and structured blocks out."""

__version__ = "0.1.0"
