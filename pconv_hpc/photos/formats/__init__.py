"""One module per file format: ``read(data, image) -> Photo`` and ``encode(photo) -> bytes``."""
