"""The members of tar files from anywhere: only regular files of safe names are passed on."""

import contextlib
import tarfile
from collections import Counter
from collections.abc import Iterator

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.sources.photo_source import safe_key

# What a reader of damaged or hostile headers may raise.
_HEADER_ERRORS = (
    tarfile.TarError, EOFError, ValueError, OverflowError, MemoryError, RecursionError, OSError,
)  # fmt: skip


@contextlib.contextmanager
def telling_damage(where: object) -> Iterator[None]:
    """Raise ``UsageError`` with the name ``where`` for what reading a damaged tar file raises."""
    try:
        yield
    except _HEADER_ERRORS as error:
        raise UsageError(
            f"{where}: not a whole, uncompressed tar file ({error or type(error).__name__}); "
            "if it is compressed, unpack that layer (gunzip); if it is truncated, copy it again"
        ) from error


def regular_files(
    where: object, tar: tarfile.TarFile, *, end: int, ignored: Counter[str]
) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yield safe name and header of each regular file, in order.

    Folders are passed over, and links, devices and unsafe names counted in ``ignored``: they are
    not followed, opened or made.

    Args:
        where: what errors call the tar file.
        tar: open for reading, uncompressed.
        end: bytes of the tar file.
        ignored: how many members were left out, by reason.

    Raises:
        UsageError: it is damaged or truncated.
    """
    last = -1
    with telling_damage(where):
        for member in tar:
            # tarfile reads on where a header says; one that points back is an endless loop
            if member.offset <= last or member.size < 0:
                raise tarfile.ReadError("a header points backwards")
            last = member.offset
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                ignored["link or special file in a tar"] += 1
            elif member.offset_data + member.size > end:
                raise tarfile.ReadError(f"{member.name!r} ends beyond it")
            elif (key := safe_key(member.name)) is None:
                ignored["unsafe name in a tar"] += 1
            else:
                yield key, member
