"""What is raised for a file that is no photo."""

from pconv_hpc.foundation.errors import UsageError


class ImageError(UsageError):
    """A file cannot be decoded to a photo; the message gives the reason, the same every time."""
