"""Runs of one slice of a fake folder: in this process, or in one that may be killed."""

import subprocess
import sys

from pconv_hpc.erasing.folder.slice_runner import SliceEnding, SliceRunner
from pconv_hpc.erasing.stage_programs import Programs
from tests.support.fake_stages import FakeFolder
from tests.support.paths import REPOSITORY

_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from pconv_hpc.erasing.folder import slice_stages
from pconv_hpc.erasing.folder.manifest import read_manifest
from pconv_hpc.erasing.stage_programs import Programs
from pconv_hpc.erasing.folder.slice_runner import SliceRunner

slice_stages.PROGRAMS = {programs!r}
with Programs() as programs:
    runner = SliceRunner(read_manifest(Path({out!r})), 0, programs, environment={{}})
    sys.exit(runner.run().exit_code)
"""


def run(folder: FakeFolder, programs: Programs, number: int = 0) -> SliceEnding:
    """Work on a slice in this process, in which ``slice_stages`` knows the fake programs."""
    return SliceRunner(folder.manifest, number, programs, environment={}).run()


def start(folder: FakeFolder) -> subprocess.Popen[str]:
    """Start a runner of slice 0 as a process of its own."""
    program = _RUN.format(
        repository=str(REPOSITORY), programs=folder.programs, out=str(folder.manifest.out)
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
