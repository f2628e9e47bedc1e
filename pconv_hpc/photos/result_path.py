"""Where the result of one photo goes, by what a person calls it."""

from pathlib import Path

from pconv_hpc.foundation.errors import UsageError


def result_path(photo: Path, out: Path) -> Path:
    """Return ``out`` if it is a file name with the photo's suffix, else the photo's name in it.

    Raises:
        UsageError: the suffix asks for another format, or a file is where a folder is expected.
    """
    if out.is_dir():
        return out / photo.name
    if out.suffix.lower() == photo.suffix.lower():
        return out
    if out.suffix or out.exists():
        raise UsageError(
            f"{out}: is no folder that is there, and a result has its photo's format; expected a "
            f"name that ends in {photo.suffix}, or a folder"
        )
    return out / photo.name
