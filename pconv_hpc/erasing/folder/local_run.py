"""All slices of a folder on this machine, one after the other, with one progress bar over all."""

import sys
import threading
from dataclasses import dataclass

from tqdm import tqdm

from pconv_hpc.cluster.folder_lock import living_holder
from pconv_hpc.erasing.folder.ledger import SliceLedger
from pconv_hpc.erasing.folder.manifest import Manifest
from pconv_hpc.erasing.folder.slice_runner import SliceRunner, log_path
from pconv_hpc.erasing.folder.slice_summary import read_done, summarise
from pconv_hpc.erasing.stage_programs import Programs
from pconv_hpc.foundation.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    UsageError,
)
from pconv_hpc.foundation.text import printable

_REFRESH_S = 0.5


@dataclass(frozen=True)
class LocalEnding:
    """How a run here ended.

    Attributes:
        exit_code: 0 every photo is accounted for, 1 some failed and may be tried again, 75 stopped.
        signal_name: what stopped it; empty if nothing did.
    """

    exit_code: int
    signal_name: str


def erase_here(manifest: Manifest) -> LocalEnding:
    """Do what is missing of a folder, here.

    Called in the main thread. A stop signal lets the stage at work finish the photos in hand.

    Raises:
        UsageError: a stage cannot use what it is given; the message is its own.
        PconvError: a ledger cannot be written.
    """
    exit_code = EXIT_DONE
    told = ""
    with (
        Programs() as programs,
        tqdm(total=manifest.num_photos, unit="photo", smoothing=0.05) as bar,
    ):
        for number in range(manifest.num_slices):
            done = read_done(manifest.slice_dir(number))
            summary = done or summarise(manifest, number)
            accounted = summary.photos - summary.remaining
            bar.initial += accounted  # what was there before says nothing about the speed
            bar.update(accounted)
            if done is not None:  # else even a slice without photos left may be to clear up
                continue
            log = log_path(manifest, number)
            with _Progress(bar, manifest, number, accounted):
                ending = SliceRunner(manifest, number, programs, log=log).run()
            if ending.exit_code == EXIT_USAGE:
                raise UsageError(ending.reason or f"slice {number} failed: see {log}")
            if programs.is_told_to_stop or ending.exit_code == EXIT_INTERRUPTED:
                return LocalEnding(EXIT_INTERRUPTED, programs.signal_name)
            if not ending.summary.is_accounted:
                exit_code = EXIT_FAILED
                if ending.reason and ending.reason != told:
                    told = ending.reason  # once, where all slices end alike
                    bar.write(f"slice {number}: {printable(told)} (log: {log})", file=sys.stderr)
                if holder := living_holder(manifest.slice_dir(number)):
                    bar.write(
                        f"slice {number} skipped: locked by {holder.describe()}",
                        file=sys.stderr,
                    )
    return LocalEnding(exit_code, "")


class _Progress:
    """Brings the bar to what a slice's ledger says, while the ``with`` block runs."""

    def __init__(self, bar: tqdm, manifest: Manifest, number: int, accounted: int) -> None:
        self._bar = bar
        self._ledger = SliceLedger(manifest.slice_dir(number))
        self._ledger.refresh()
        self._title = f"slice {number} of {manifest.num_slices}"
        self._failures = self._count_failures()
        self._shown = (0, accounted)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._refresh()

    def _watch(self) -> None:
        while not self._end.wait(_REFRESH_S):
            self._refresh()

    def _refresh(self) -> None:
        self._ledger.refresh()
        outcomes = self._ledger.outcomes.values()
        # All of a slice's photos are segmented before any is erased: the bar alone would stand.
        segmented = sum(outcome.classes is not None for outcome in outcomes)
        accounted = sum(outcome.is_done or outcome.is_set_aside for outcome in outcomes)
        if (segmented, accounted) != self._shown:
            self._bar.set_postfix_str(f"{self._title}: {segmented} segmented", refresh=False)
            self._bar.update(accounted - self._shown[1])
            self._shown = (segmented, accounted)
        failures = self._count_failures()
        for photo, count in failures.items():
            if count > self._failures.get(photo, 0):
                reason = self._ledger.outcomes[photo].reason
                self._bar.write(printable(f"failed: {photo}: {reason}"), file=sys.stderr)
        self._failures = failures

    def _count_failures(self) -> dict[str, int]:
        return {p: o.failures for p, o in self._ledger.outcomes.items() if o.failures}
