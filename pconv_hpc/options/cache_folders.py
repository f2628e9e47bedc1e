"""Where libraries keep what they compute once: in a temporary folder if HOME cannot be written to.

On clusters HOME may be read-only on compute nodes, full, or missing, and the installation may be an
image. Some libraries then end the program (numba, inside MMDetection), others warn.
"""

import atexit
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

# The variable that names each folder, and where it is without one, below HOME.
_FOLDERS = {
    "XDG_CACHE_HOME": ".cache",  # PyTorch and others
    "XDG_CONFIG_HOME": ".config",
    "MPLCONFIGDIR": ".config/matplotlib",
    "NUMBA_CACHE_DIR": ".cache/numba",
    "KERAS_HOME": ".keras",
    "TRITON_HOME": ".triton",
    "CUDA_CACHE_PATH": ".nv/ComputeCache",
}


def use_writable(environment: MutableMapping[str, str]) -> None:
    """Name a private temporary folder for each cache that cannot be written where it would be.

    Programs that are started with ``environment`` use it too; it goes when this one ends.
    """
    unwritable = [name for name in _FOLDERS if not _is_writable(_folder(name, environment))]
    if not unwritable:
        return
    temporary = Path(tempfile.mkdtemp(prefix="pconv-caches-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    for name in unwritable:
        folder = temporary / name.lower()
        folder.mkdir()
        environment[name] = str(folder)


def _folder(name: str, environment: MutableMapping[str, str]) -> Path:
    below_home = Path(_FOLDERS[name])
    if given := environment.get(name):
        return Path(given).absolute()
    for base in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        if base != name and environment.get(base) and below_home.parts[0] == _FOLDERS[base]:
            return Path(environment[base], *below_home.parts[1:]).absolute()
    try:
        return Path("~").expanduser().absolute() / below_home
    except RuntimeError:  # nobody knows where HOME is
        return Path("/dev/null") / below_home


def _is_writable(folder: Path) -> bool:
    """Return whether files can be written in a folder, or in a new one of its name.

    They are tried: permissions say nothing to root, nor on file systems that are read-only.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False
