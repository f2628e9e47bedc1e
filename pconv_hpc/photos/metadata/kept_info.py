"""What Pillow read beside the pixels and is to be written again, without pictures in it."""

from PIL import Image

from pconv_hpc.photos.metadata.exif import without_thumbnail
from pconv_hpc.photos.metadata.xmp import without_pictures


def kept_info(image: Image.Image) -> dict[str, bytes]:
    """Return ``icc_profile``, ``xmp`` and ``exif`` of an image, those that it has."""
    kept = {}
    if image.info.get("icc_profile"):
        kept["icc_profile"] = image.info["icc_profile"]
    if image.info.get("xmp"):
        kept["xmp"] = without_pictures(image.info["xmp"])
    if image.info.get("exif"):
        kept["exif"] = without_thumbnail(image.info["exif"])
    return kept
