"""Copies of a pack on a node's own disk, so that many ranks do not all read a shared one.

A copy lies in a folder named by the pack's fingerprint, so it can never be taken for another pack.
Its ``index.json`` is written last: a copy that was broken off is not used.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import Interrupted, PconvError
from pconv_hpc.shards.shard_index import INDEX_NAME, ShardIndex, read_index

STAGE_VARIABLE = "PCONV_STAGE_DIR"
_SPARE_SHARE = 0.05  # of the disk, left free for others


def staged_index(index_path: Path, environment: Mapping[str, str]) -> Path:
    """Return the index to read: that of a whole copy on this node, else ``index_path`` itself."""
    folder = environment.get(STAGE_VARIABLE)
    if not folder:
        return index_path
    copy = Path(folder) / read_index(_index_file(index_path)).fingerprint / INDEX_NAME
    return copy if copy.is_file() else index_path


def stage_pack(
    index_path: Path, stage_dir: Path, *, should_stop: Callable[[], bool] = lambda: False
) -> Path | None:
    """Copy a pack to ``stage_dir`` and return the copy's index; ``None`` if it does not fit.

    Every file's size is checked against the index after the copy. A copy that is there already is
    kept, and what somebody deleted of it is copied again.

    Raises:
        Interrupted: ``should_stop`` said so between two shards.
        PconvError: a shard is not what the index says, or cannot be copied.
    """
    index_path = _index_file(index_path)
    index = read_index(index_path)
    folder = stage_dir / index.fingerprint
    missing = [s for s in index.shards if _size(folder / s.file) != s.bytes]
    if (folder / INDEX_NAME).is_file() and not missing:
        return folder / INDEX_NAME
    (folder / INDEX_NAME).unlink(missing_ok=True)  # nobody takes it for whole meanwhile
    stage_dir.mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(stage_dir)
    if sum(shard.bytes for shard in missing) > disk.free - _SPARE_SHARE * disk.total:
        return None
    folder.mkdir(exist_ok=True)
    for shard in missing:
        if should_stop():
            raise Interrupted(f"{folder}: asked to stop while shards were copied")
        _copy(index_path.with_name(shard.file), folder / shard.file, shard.bytes)
    return _finish(folder, index, index_path)


def _finish(folder: Path, index: ShardIndex, index_path: Path) -> Path:
    wrong = [shard.file for shard in index.shards if _size(folder / shard.file) != shard.bytes]
    if wrong:
        raise PconvError(f"{folder}: {wrong[0]} has not the size that {index_path} says")
    atomic.write_bytes(folder / INDEX_NAME, index_path.read_bytes())
    return folder / INDEX_NAME


def _copy(source: Path, target: Path, num_bytes: int) -> None:
    try:
        with atomic.atomic_path(target, durable=False) as temporary:
            shutil.copyfile(source, temporary)
            if _size(temporary) != num_bytes:
                raise PconvError(
                    f"{source}: {_size(source)} bytes, but its index says {num_bytes}; "
                    "pconv-hpc inspect --verify shows what is damaged"
                )
    except OSError as error:
        raise PconvError(f"{source}: cannot be copied to {target} ({error.strerror})") from error


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _index_file(path: Path) -> Path:
    return path / INDEX_NAME if path.is_dir() else path
