"""The package as people install it: a wheel, in an environment of its own, without a checkout."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support.paths import REPOSITORY


class InstalledWheel:
    """An environment that holds the wheel, and sees what else this one holds."""

    def __init__(self, folder: Path) -> None:
        source, self.venv = folder / "source", folder / "venv"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        git = ("git", "-c", f"safe.directory={REPOSITORY}", "clone", "--quiet", "--shared")
        subprocess.run([*git, REPOSITORY, source], check=True)
        pip = (sys.executable, "-m", "pip", "--quiet")
        build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
        subprocess.run([*pip, *build, source], check=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.venv], check=True)
        (wheel,) = folder.glob("*.whl")
        python = self.venv / "bin" / "python"
        subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
        (site_packages,) = self.venv.glob("lib/python*/site-packages")
        (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.package = site_packages / "pconv_hpc"

    @property
    def jobs_dir(self) -> Path:
        """The folder of the job scripts in the package."""
        return self.package / "shipped" / "jobs"

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [str(self.venv / "bin" / program), *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=self.elsewhere,
            env=environment,
            timeout=300,
        )
