"""What is raised for a file that is no photo."""

from pconv_hpc.foundation.errors import UsageError


class ImageError(UsageError):
    """A file cannot be decoded to a photo; the message gives the reason, the same every time."""


class RawPhotoError(ImageError):
    """A file is what a camera's sensor recorded, and not yet a photo."""

    def __init__(self) -> None:
        super().__init__("a raw photo; develop it to TIFF or JPEG first")
