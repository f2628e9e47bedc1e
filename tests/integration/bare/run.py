"""From nothing to a result, in a bare Debian 12: ``make test-bare``.

    python3 -m tests.integration.bare.run [--folder build/bare] [--only recipe demo] [--wheels DIR]

recipe: %files, %post and %test of deploy/apptainer/pconv_hpc-cpu.def, as ``apptainer build`` runs
them. demo: what README.md names for ``make demo``, and ``make demo`` in a checkout. Each has a
system of its own, made by debootstrap in the folder. Needs root and debootstrap, Debian's mirror,
PyPI, PyTorch's index and 6 GB. The wheel cache saves compiling, and keeps what was compiled.
"""

import argparse
import shutil
import subprocess
import time
from pathlib import Path

from tests.integration.bare.bare_debian import BareDebian
from tests.support.apptainer_recipes import CPU_RECIPE, Recipe, readme_packages
from tests.support.paths import REPOSITORY


def run_recipe(debian: BareDebian, arguments: argparse.Namespace) -> Path:
    """Build and test what the CPU recipe describes; return the folder of compiled wheels."""
    recipe = Recipe.read(CPU_RECIPE, dict(arguments.build_arg))
    for source, target in recipe.files:
        debian.put(REPOSITORY / source, target)
    wheels = "/opt/pconv_hpc/wheels"
    if arguments.wheels.is_dir():
        debian.put(arguments.wheels, wheels)
    debian.run(recipe.sections["post"], dict(arguments.env))
    # Nothing but what the recipe itself sets, and no network: all that a job needs is in the image.
    script = "\n".join([recipe.sections["environment"], recipe.sections["test"]])
    debian.run(script, {}, network=False)
    return debian.root / wheels.lstrip("/")


def run_demo(debian: BareDebian, arguments: argparse.Namespace) -> Path:
    """Run ``make demo`` from nothing; return the folder of compiled wheels."""
    tracked = subprocess.run(
        ["git", "-C", REPOSITORY, "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, tracked.split("\0")):
        path = debian.root / "root" / "pconv_hpc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, path, follow_symlinks=False)
    wheels = "/root/.cache/pconv_hpc/wheels"
    if arguments.wheels.is_dir():
        debian.put(arguments.wheels, wheels)
    debian.run(
        "export DEBIAN_FRONTEND=noninteractive\n"
        "apt-get update\n"
        f"apt-get install --yes --no-install-recommends {' '.join(readme_packages())}\n"
        "cd /root/pconv_hpc\n"
        "make demo\n"
        "test -s demo/report.html\n",
        dict(arguments.env),
    )
    return debian.root / wheels.lstrip("/")


_MARKER = "made_by_test_bare"
_PARTS = {"recipe": run_recipe, "demo": run_demo}


def main() -> None:
    """Parse, make the systems, run the parts, keep the wheels."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "bare")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument(
        "--wheels", type=Path, default=Path("~/.cache/pconv_hpc/wheels").expanduser()
    )
    parser.add_argument(
        "--give",
        type=Path,
        nargs="*",
        default=[],
        help="files or folders of this machine, such as a proxy's certificate",
    )
    parser.add_argument("--env", type=_pair, nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--build-arg", type=_pair, nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--keep", action="store_true", help="do not remove the systems at the end")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).exists():
        raise SystemExit(f"error: {folder} holds something else; name an empty folder: --folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()
    base = BareDebian(folder / "base")
    if not (folder / "base.made").exists():
        shutil.rmtree(base.root, ignore_errors=True)
        base.make()
        (folder / "base.made").touch()
    for part in arguments.only:
        started = time.monotonic()
        shutil.rmtree(folder / part, ignore_errors=True)
        debian = base.copy_to(folder / part)
        for given in arguments.give:
            debian.put(given.absolute(), str(given.absolute()))
        try:
            compiled = _PARTS[part](debian, arguments)
        except subprocess.CalledProcessError as error:
            raise SystemExit(
                f"error: {part} ended with status {error.returncode}, see above; its "
                f"system is in {debian.root}"
            ) from error
        arguments.wheels.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["cp", "--recursive", "--no-clobber", f"{compiled}/.", arguments.wheels], check=True
        )
        print(f"{part}: passed in {(time.monotonic() - started) / 60:.0f} min", flush=True)
        if not arguments.keep:
            shutil.rmtree(folder / part)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


if __name__ == "__main__":
    main()
