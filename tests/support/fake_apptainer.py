"""A stand-in for Apptainer that notes its arguments and runs the command, in no image at all.

As in an image, Slurm's commands do not work there, and ``python`` is not what it is outside.
"""

import os
import sys
from pathlib import Path

_SLURM = ("sacct", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
_APPTAINER = """\
#!/bin/bash
echo "$*" >> '{log}'
[[ $1 == exec ]] || exit 64
shift
while [[ $1 == --* ]]; do
    case $1 in
        --bind) [[ -e $2 ]] || exit 65; shift 2 ;;
        --nv) shift ;;
        *) exit 66 ;;
    esac
done
[[ -f $1 ]] || exit 67
shift
export PATH='{inside}:{python}:/usr/bin:/bin' APPTAINER_CONTAINER=1
if [[ -n ${{APPTAINERENV_PYTHONPATH:-}} ]]; then export PYTHONPATH="$APPTAINERENV_PYTHONPATH"; fi
exec "$@"
"""


class FakeApptainer:
    """``bin`` is what belongs on the PATH, ``image`` the image file."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.image = folder / "an image.sif"
        self._log = folder / "apptainer.log"
        inside = folder / "inside"
        for path in (self.bin, inside):
            path.mkdir(parents=True)
        self.image.write_text("")
        for name in _SLURM:
            write_program(
                inside / name, f'#!/bin/sh\necho "{name} is not in the image" >&2\nexit 127\n'
            )
        script = _APPTAINER.format(log=self._log, inside=inside, python=Path(sys.executable).parent)
        write_program(self.bin / "apptainer", script)

    @property
    def calls(self) -> list[str]:
        """Return the arguments of each call so far."""
        return self._log.read_text().splitlines()

    def environment(self) -> dict[str, str]:
        """Return this process's variables, with the stand-in on the PATH and the image set."""
        path = f"{self.bin}:{os.environ['PATH']}"
        return os.environ | {"PATH": path, "PCONV_IMAGE": str(self.image)}


def write_program(path: Path, text: str) -> None:
    """Write a script that can be run."""
    path.write_text(text)
    path.chmod(0o755)
