"""TensorFlow and PyTorch are loaded without the notes they greet everyone with; errors are shown.

Their C++ libraries write to standard error while they are loaded, before they read any setting:
that oneDNN computes, that there is no GPU, ten lines before a command's own first word.
"""

import contextlib
import faulthandler
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

# What tells whether each sees a GPU.
_FRAMEWORKS: dict[str, Callable[[Any], object]] = {
    "tensorflow": lambda module: module.config.list_physical_devices("GPU"),
    "torch": lambda module: module.cuda.is_available(),
}
# Information and warnings of both ways in which they log, and errors of what is only not there.
_NOTE = re.compile(
    r"WARNING: All log messages before absl::InitializeLog"
    r"|[IW]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] "
    r"|To enable the following instructions: "
    r"|.*(?:failed call to cuInit|Unable to register cu\w+ factory)"
    r"|.*triton not found"
)
_NO_GPU = re.compile(r".*\] (.*(?:cuInit|cuda drivers|Cannot dlopen|libcud).*)")


def install() -> None:
    """Load frameworks quietly from now on; again and again is once.

    Whoever sets ``TF_CPP_MIN_LOG_LEVEL`` to 0 or 1 is shown everything.
    """
    shows_all = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") in ("0", "1")
    if not shows_all and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def has_gpu(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> bool:
    """Return whether this process has an NVIDIA GPU, be it usable or not."""
    is_hidden = environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1", "NoDevFiles")
    return not is_hidden and any(devices.glob("nvidia[0-9]*"))


def problems(output: str) -> str:
    """Return what is left of a framework's start-up output without its notes."""
    return "".join(line for line in output.splitlines(keepends=True) if not _NOTE.match(line))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the frameworks as the others do, for a loader that is quiet."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _FRAMEWORKS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        with _without_notes() as output:
            self._loader.exec_module(module)
            # They look for GPUs when they are first asked for them, and complain then.
            sees_gpu = _FRAMEWORKS[module.__name__](module)
        if has_gpu() and not sees_gpu:
            found = [match[1] for line in output if (match := _NO_GPU.match(line))]
            reason = found[-1] if found else "it is built without CUDA, or finds no CUDA libraries"
            print(
                f"this machine has a GPU that {module.__name__} cannot use, so it computes on the "
                f"CPU: {reason} (docs/guide/install.md; CUDA_VISIBLE_DEVICES= if that is meant)",
                file=sys.stderr,
            )


@contextlib.contextmanager
def _without_notes() -> Iterator[list[str]]:
    """Hold back what is written to standard error, and pass on what is no note.

    Yields a list that the lines are in afterwards. A crash is told at once, by its Python stack.
    """
    lines: list[str] = []
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "wb") as shown:
        was_enabled = faulthandler.is_enabled()
        faulthandler.enable(shown)
        os.dup2(held.fileno(), 2)
        ended_well = False
        try:
            yield lines
            ended_well = True
        finally:
            sys.stderr.flush()
            os.dup2(shown.fileno(), 2)
            faulthandler.disable()
            if was_enabled:
                faulthandler.enable()
            held.seek(0)
            output = held.read().decode(errors="replace")
            lines += output.splitlines()
            sys.stderr.write(problems(output) if ended_well else output)
