"""What files are that no program reads as photos, by their names: counted by kind, and said."""

from collections import Counter
from pathlib import Path, PurePosixPath

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.formats.photo_files import PHOTO_SUFFIXES

HIDDEN = "hidden"
LINKED_FOLDERS = "linked folders (name them themselves: links are not followed)"
SPECIAL_FILES = "links to folders or special files named like photos"

_KINDS = {
    "raw photos (develop them to TIFF or JPEG first)": """
        3fr ari arw bay cap cr2 cr3 crw dcr dcs dng drf eip erf fff gpr iiq k25 kdc mdc mef mos mrw
        nef nrw orf pef ptx pxn raf raw rw2 rwl rwz sr2 srf srw x3f
    """,
    "videos": "3gp avi insv lrv m2ts m4v mkv mov mp4 mpeg mpg mts r3d webm wmv",
    "sidecar files": "aae cos dop json on1 pp3 thm xmp",
    "pictures of other formats (convert them to PNG, TIFF or JPEG first)": """
        afphoto ai avifs bpg cdr clip dds emf eps exr fits hdr heics icns ico jng jxr kra mng pcx
        pdf pgm pnm ppm psb psd qoi svg svgz tga wbmp wdp wmf xcf
    """,
}
_KIND_OF = {f".{suffix}": kind for kind, suffixes in _KINDS.items() for suffix in suffixes.split()}


def kind_of(name: str) -> str:
    """Return what a file that is no photo of a known format is."""
    return _KIND_OF.get(PurePosixPath(name).suffix.lower(), "not named like an image")


def no_photos(folder: Path, others: Counter[str]) -> UsageError:
    """Return what to raise for a folder that holds others alone."""
    found = f"; left out: {list_kinds(others)}" if others else ""
    return UsageError(f"{folder}: no photos in it ({', '.join(PHOTO_SUFFIXES)}){found}")


def list_kinds(counts: Counter[str]) -> str:
    """Return kinds with their counts as one line, the empty string for none."""
    return ", ".join(f"{kind}: {counts[kind]:,}" for kind in sorted(counts) if counts[kind])
