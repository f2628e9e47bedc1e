"""Runs the demonstration's steps, each as the command a person would type."""

import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.demo.pictures import write_crops, write_photo_to_click, write_photos_to_erase
from pconv_hpc.demo.report import write_report
from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_INTERRUPTED, PconvError, UsageError
from pconv_hpc.foundation.launchers import mpirun_command, program_command, shell_line
from pconv_hpc.foundation.shipped import CONFIGS_DIR
from pconv_hpc.training.metrics_table import read_table
from pconv_hpc.training.run_folder import RunFolder

_CROP_SIZE = 96
_NUM_TRAIN_CROPS = 960
_NUM_VAL_CROPS = 48
_NUM_EPOCHS = 4
_MARKER = "made_by_pconv_demo"
_POLL_SECONDS = 0.5


class _Steps:
    """Runs programs of the package, shows each command, and remembers them for the report."""

    def __init__(self, num_ranks: int) -> None:
        self._num_ranks = num_ranks
        self.commands: list[str] = []

    def command(
        self, program: str, *arguments: object, ranks: bool = False, is_quiet: bool = False
    ) -> list[str]:
        command = [*program_command(program), *map(str, arguments)]
        if ranks and self._num_ranks > 1:
            command = mpirun_command(self._num_ranks, command, is_quiet=is_quiet)
        self.commands.append(shell_line(command))
        print(f"$ {self.commands[-1]}", flush=True)
        return command

    def run(self, program: str, *arguments: object, ranks: bool = False) -> None:
        command = self.command(program, *arguments, ranks=ranks)
        code = subprocess.run(command, check=False).returncode
        if code != EXIT_DONE:
            raise PconvError(f"the step above ended with exit code {code}, expected {EXIT_DONE}")


def run_demo(
    out_dir: Path,
    *,
    num_ranks: int,
    steps_per_epoch: int,
    mask_rcnn: tuple[Path, Path] | None = None,
) -> Path:
    """Run every step in ``out_dir``, from the beginning, and return the report's path.

    ``mask_rcnn`` is the configuration and the weights of a network that finds a striped disc.

    Raises:
        UsageError: ``out_dir`` exists and is not the folder of an earlier demonstration.
        PconvError: a step failed, or ``out_dir`` cannot be written.
    """
    with writing(out_dir):
        _prepare(out_dir)
    steps = _Steps(num_ranks)
    started = time.monotonic()

    _say("1/5  crops from photos that scikit-image and scikit-learn ship", "5 s")
    with writing(out_dir):
        _write_pictures(out_dir)

    _say(f"2/5  pack them into HDF5 shards with {num_ranks} MPI ranks", "10 s")
    for split in ("train", "val"):
        steps.run(
            "pack",
            out_dir / "crops" / split,
            out_dir / "packed" / split,
            *("--split", split, "--size", _CROP_SIZE, "--images-per-shard", 240),
            ranks=True,
        )

    _say("3/5  train, interrupted half-way as by a time limit", "90 s")
    run = RunFolder(out_dir / "run")
    _train_and_interrupt(steps, out_dir, run, steps_per_epoch)

    _say("     continue on exactly the next sample", "90 s")
    steps.run("resume", run.path, "--ranks", num_ranks)

    _say("4/5  erase objects, with the network in the package and the one just trained", "40 s")
    files = (out_dir / "photos", out_dir / "masks")
    steps.run("inpaint", *files, out_dir / "erased")
    steps.run("inpaint", *files, out_dir / "erased_by_run", "--weights", run.path)

    _erase_by_click(steps, out_dir, mask_rcnn)

    _say("5/5  report", "2 s")
    report_path = out_dir / "report.html"
    write_report(
        report_path,
        out_dir=out_dir,
        run=run,
        commands=steps.commands,
        seconds=time.monotonic() - started,
    )
    return report_path.absolute()


def _erase_by_click(steps: _Steps, out_dir: Path, mask_rcnn: tuple[Path, Path] | None) -> None:
    lacking = [name for name in ("torch", "mmdet") if find_spec(name) is None]
    if mask_rcnn is None or lacking:
        why = f"{' and '.join(lacking)} not installed" if lacking else "no --mask-rcnn"
        print(f"\n-- left out, {why}: finding an object by a click. To see it, run")
        print("   make install PROFILE=erase && make demo", flush=True)
        return
    _say("     click on an object: find it with Mask R-CNN, and erase it", "40 s")
    photo = out_dir / "click" / "photo.png"
    with writing(out_dir):
        x, y = write_photo_to_click(photo)
    network = ("--config", mask_rcnn[0], "--checkpoint", mask_rcnn[1])
    steps.run("erase", photo, photo.with_name("erased.png"), *network, "--click", f"{x},{y}")


def _say(what: str, expected: str) -> None:
    print(f"\n== {what} (about {expected})", flush=True)


def _prepare(out_dir: Path) -> None:
    if out_dir.exists() and any(out_dir.iterdir()):
        if not (out_dir / _MARKER).is_file():
            raise UsageError(
                f"{out_dir} holds other files than a demonstration's; choose an empty folder with --out"
            )
        shutil.rmtree(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / _MARKER).touch()


def _write_pictures(out_dir: Path) -> None:
    for split, count, held_out in (
        ("train", _NUM_TRAIN_CROPS, False),
        ("val", _NUM_VAL_CROPS, True),
    ):
        write_crops(
            out_dir / "crops" / split, num_crops=count, size=_CROP_SIZE, held_out=held_out, seed=0
        )
    write_photos_to_erase(out_dir / "photos", out_dir / "masks")


def _train_and_interrupt(
    steps: _Steps, out_dir: Path, run: RunFolder, steps_per_epoch: int
) -> None:
    """Start training; half-way, send the signal that Slurm sends before the walltime."""
    settings = {
        "data.train_index": out_dir / "packed" / "train" / "index.json",
        "data.val_index": out_dir / "packed" / "val" / "index.json",
        "data.image_size": _CROP_SIZE,
        "model.levels": 5,
        "optimizer.learning_rate": 2e-3,
        "train.epochs": _NUM_EPOCHS,
        "train.steps_per_epoch": steps_per_epoch,
        "train.log_every_steps": 10,
    }
    overrides = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    config = CONFIGS_DIR / "tiny_cpu.yaml"
    # mpirun would explain at length that ranks ended with 75.
    command = steps.command(
        "train", config, "--run-dir", run.path, *overrides, ranks=True, is_quiet=True
    )
    half_way = _NUM_EPOCHS * steps_per_epoch // 2
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            rows = read_table(run.metrics_path)
            if rows and rows[-1]["step"] >= half_way:
                print(f"-- sending USR2 after step {rows[-1]['step']:.0f}", flush=True)
                process.send_signal(signal.SIGUSR2)
                break
            time.sleep(_POLL_SECONDS)
        code = process.wait()
    if code != EXIT_INTERRUPTED:
        raise PconvError(
            f"training ended with exit code {code}, expected {EXIT_INTERRUPTED} (interrupted)"
        )
