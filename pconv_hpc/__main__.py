"""``pconv-hpc PROGRAM …``: the one way in; each program is a file of ``pconv_hpc/commands``."""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# what a person types: its file in pconv_hpc/commands, and what it does
PROGRAMS = {
    "pack": ("pack", "pack photos of a folder or of tar files into HDF5 shards"),
    "make-masks": ("make_masks", "draw a bank of masks to train on"),
    "harvest": ("harvest", "collect the silhouettes of objects in photos"),
    "train": ("train", "train a network on packed photos, on one rank or many"),
    "resume": ("resume", "continue a training run, here or as a Slurm job"),
    "status": ("status", "show where training runs and erase folders stand"),
    "segment": ("segment", "find objects in photos and write masks of those to erase"),
    "inpaint": ("inpaint", "fill the holes of masks in photos"),
    "erase": ("erase", "erase objects from one photo, or from every photo of a folder"),
    "erase-status": ("erase_status", "show an erase folder's progress; resubmit what is left"),
    "page": ("page", "erase objects from photos in a browser"),
    "evaluate": ("evaluate", "measure networks and baselines on photos"),
    "fetch-weights": ("fetch_weights", "download the trained weights of other projects"),
    "import-weights": ("import_weights", "convert another project's weights into a weights file"),
    "inspect": ("inspect_shards", "show what a folder of shards holds, and verify it"),
    "local-slurm": ("local_slurm", "start a Slurm cluster on this machine, to try jobs"),
    "demo": ("demo", "run everything once, small, on this machine"),
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the program that ``words`` name, by default this process's own, and end with its code."""
    name, *arguments = (sys.argv[1:] if words is None else words) or ["--help"]
    if name in ("-h", "--help"):
        print(overview())
        sys.exit(0)
    if name == "--version":
        from pconv_hpc import __version__

        print(f"pconv-hpc {__version__}")
        sys.exit(0)
    if name not in PROGRAMS:
        print(f"error: {name}: expected one of {', '.join(PROGRAMS)}", file=sys.stderr)
        sys.exit(2)
    # First of all: programs that may be signalled at any time watch for it from here on.
    program = importlib.import_module(f"pconv_hpc.commands.{PROGRAMS[name][0]}")

    from pconv_hpc.options import cli

    sys.argv = [f"pconv-hpc {name}", *arguments]  # as argparse calls it
    cli.run(program.main)


def main_of_checkout(checkout: Path, name: str) -> None:
    """Run a program of a checkout, so that what it starts also finds the package there."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if paths[0] != str(checkout):
        os.environ["PYTHONPATH"] = os.pathsep.join([str(checkout), *filter(None, paths)])
    main([name, *sys.argv[1:]])


def overview() -> str:
    """Return what ``pconv-hpc --help`` shows."""
    width = max(map(len, PROGRAMS))
    lines = [f"  {name:{width}}  {what}" for name, (_, what) in PROGRAMS.items()]
    usage = "usage: pconv-hpc PROGRAM [ARGUMENT …]"
    return "\n".join([usage, "", *lines, "", "pconv-hpc PROGRAM --help tells more, with examples."])


if __name__ == "__main__":
    main()
