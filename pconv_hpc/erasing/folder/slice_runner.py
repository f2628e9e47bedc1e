"""One slice of a folder of photos: find, erase, and account for every photo exactly once.

The two stages run as processes of their own, and each notes in the ledger which photos it has
begun. When one dies, the photos it was at get a failure each, and are tried again last and alone:
so the one that kills its process is found, three times, and is set aside; no other photo is.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.erasing.folder.ledger import (
    LedgerWriter,
    Outcome,
    SliceLedger,
    attempt_path,
    read_slice,
)
from pconv_hpc.erasing.folder.manifest import Manifest
from pconv_hpc.erasing.folder.slice_parts import Part, parts_of
from pconv_hpc.erasing.folder.slice_stages import StageName, Stages
from pconv_hpc.erasing.folder.slice_summary import (
    DONE_NAME,
    SliceSummary,
    count,
    read_done,
    summarise,
    write_done,
)
from pconv_hpc.erasing.stage_process import last_words
from pconv_hpc.erasing.stage_programs import Programs, how_it_ended
from pconv_hpc.foundation.atomic import atomic_path, remove_unfinished
from pconv_hpc.foundation.disk_space import OutputError, writing_results
from pconv_hpc.foundation.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    UsageError,
)
from pconv_hpc.photos.copying import copy_result
from pconv_hpc.photos.sources.sorted_listing import PhotoRow

_LOG_NAME = "log.txt"
_TODO_NAME = "todo.jsonl"
# Deaths in a row between which no photo was finished: that is no longer the photos' fault.
_MAX_DEATHS_AT_WORK = 10
_MAX_DEATHS_AT_START = 2
_COPY_THREADS = 8
_COPIES_AT_ONCE = 256  # between two looks at whether to stop


@dataclass(frozen=True)
class SliceEnding:
    """How an attempt at a slice ended.

    Attributes:
        exit_code: 0 every photo is done or set aside, or somebody else is at work on the slice;
            1 some failed and may be tried again; 2 bad input; 75 stopped early.
        has_progress: whether any photo was brought further.
        summary: where the slice stands.
        reason: what the stage that ended it before the slice was done said last,
            if a log was kept.
    """

    exit_code: int
    has_progress: bool
    summary: SliceSummary
    reason: str = ""


class _Ended(Exception):
    """The attempt is over before the slice is."""

    def __init__(self, exit_code: int, reason: str = "") -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
        self.reason = reason


class SliceRunner:
    """Does what is missing of one slice.

    Args:
        manifest: the work.
        number: which slice, from 0.
        programs: runs the stages and knows of signals.
        environment: tells which Slurm job this process belongs to.
        log: where messages and the stages' output go; ``None``: standard output.
    """

    def __init__(
        self,
        manifest: Manifest,
        number: int,
        programs: Programs,
        *,
        environment: Mapping[str, str] = os.environ,
        log: Path | None = None,
    ) -> None:
        self._manifest = manifest
        self._number = number
        self._programs = programs
        self._environment = environment
        self._log = log
        self._slice_dir = manifest.slice_dir(number)
        self._ledger = SliceLedger(self._slice_dir)
        self._writer = LedgerWriter(attempt_path(self._slice_dir, environment))
        self._failed_now: set[str] = set()  # their next chance comes with the next attempt
        self._log_begin = 0  # of what the last stage wrote
        self._deaths = 0  # of stages, since one last finished a photo

    def run(self) -> SliceEnding:
        """Do what is missing, unless somebody else is at it.

        Raises:
            PconvError: the list of photos, or a tar file, cannot be read.
            OutputError: the ledger, or a result, cannot be written.
        """
        with writing_results(self._slice_dir):
            return self._run()

    def _run(self) -> SliceEnding:
        done = read_done(self._slice_dir)
        if done is not None:
            self._say(f"nothing left to do: {_describe(done)}")
            return SliceEnding(EXIT_DONE, False, done)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(FolderLock(self._slice_dir, self._environment))
            except UsageError as error:
                self._say(f"skipped: {error}")
                return SliceEnding(EXIT_DONE, False, summarise(self._manifest, self._number))
            stack.enter_context(self._writer)
            return self._run_locked()

    def _run_locked(self) -> SliceEnding:
        self._ledger = read_slice(self._slice_dir)
        rows = list(self._manifest.photos(self._number))
        parts = list(parts_of(self._manifest, rows))
        self._say(f"{len(rows)} photos, attempt {self._writer.path.stem}")
        self._blame_the_begun("the task ended while {stage} was working on this photo")
        self._sweep(parts)
        num_ended = self._ledger.num_ended
        reason = ""
        try:
            for part in parts:
                self._work(part)
            code = EXIT_DONE
        except _Ended as ended:
            code, reason = ended.exit_code, ended.reason
        self._ledger.refresh()
        summary = count(self._manifest, self._number, self._ledger)
        if summary.is_accounted and code == EXIT_DONE:
            write_done(self._slice_dir, summary)
        elif code == EXIT_DONE:
            code = EXIT_FAILED
        self._say(_describe(summary))
        return SliceEnding(code, self._ledger.num_ended > num_ended, summary, reason)

    def _sweep(self, parts: Sequence[Part]) -> None:
        """Remove what earlier attempts had written and not finished when they were killed."""
        outcomes = self._ledger.outcomes
        for part in parts:
            photos = [row.photo for row in part.rows]
            part.stages.sweep([p for p in photos if p in outcomes and not outcomes[p].is_done])
        own = [self._slice_dir / name for name in (_TODO_NAME, DONE_NAME)]
        remove_unfinished([*own, *(path for part in parts for path in part.tar_files)])

    def _work(self, part: Part) -> None:
        """Do what is missing of a part; raises ``_Ended`` if the attempt cannot go on."""
        due = [row.photo for row in part.rows if self._is_open(row.photo)]
        if due:
            if self._programs.is_told_to_stop:
                raise _Ended(EXIT_INTERRUPTED)
            try:
                part.prepare(due)
            except OutputError:  # no photo is to blame
                raise
            except UsageError as error:
                for photo in due:
                    self._fail(photo, "unpack", str(error))
                self._ledger.refresh()
                return
            self._run_stage("segment", part.stages, part.rows)
            self._finish_empty(part)
            self._run_stage("inpaint", part.stages, part.rows)
        outcomes = [self._outcome(row.photo) for row in part.rows]
        is_accounted = all(outcome.is_done or outcome.is_set_aside for outcome in outcomes)
        if is_accounted and not part.is_finished:
            part.finish()

    def _is_open(self, photo: str) -> bool:
        """Return whether a photo is to be worked on in this attempt."""
        outcome = self._outcome(photo)
        return not (outcome.is_done or outcome.is_set_aside or photo in self._failed_now)

    def _run_stage(self, stage: StageName, stages: Stages, rows: Sequence[PhotoRow]) -> None:
        """Bring all photos that are due through a stage: those that never failed, then the others.

        Raises:
            _Ended: the attempt cannot go on.
        """
        for alone in (False, True):
            while todo := [row for row in rows if self._is_due(row.photo, stage, stages, alone)]:
                if alone:  # those that failed most may end the task: the others first
                    todo.sort(key=lambda row: self._outcome(row.photo).failures)
                self._run_program(stage, stages, todo, alone)

    def _is_due(self, photo: str, stage: StageName, stages: Stages, alone: bool) -> bool:
        outcome = self._outcome(photo)
        if not self._is_open(photo) or (outcome.failures > 0) != alone:
            return False
        if stage == "segment":
            lacks_mask = bool(outcome.classes) and not stages.mask(photo).exists()
            return outcome.classes is None or lacks_mask
        return bool(outcome.classes)

    def _run_program(
        self, stage: StageName, stages: Stages, todo: Sequence[PhotoRow], alone: bool
    ) -> None:
        """Run a stage's program once and account for what it leaves; raises ``_Ended``."""
        if self._programs.is_told_to_stop:
            raise _Ended(EXIT_INTERRUPTED)
        todo_path = self._slice_dir / _TODO_NAME
        with atomic_path(todo_path, durable=False) as temporary:
            temporary.write_text("".join(f"{row.to_json()}\n" for row in todo), encoding="ascii")
        self._say(f"{stage}: {len(todo)} photos{', one at a time' if alone else ''}")
        before = {row.photo: self._outcome(row.photo).failures for row in todo}
        code = self._call(
            stages.command(stage, todo=todo_path, ledger=self._writer.path, alone=alone)
        )
        self._ledger.refresh()
        failed = {p for p, failures in before.items() if self._outcome(p).failures > failures}
        self._failed_now |= failed
        unfinished = [
            photo
            for photo in before
            if photo not in failed and self._is_due(photo, stage, stages, alone)
        ]
        if len(unfinished) < len(todo):
            self._deaths = 0
        if code == EXIT_DONE or (code == EXIT_FAILED and not unfinished):
            for photo in unfinished:
                self._fail(
                    photo, stage, f"{stage} exited without recording what became of this photo"
                )
            self._ledger.refresh()
            return
        if code in (EXIT_INTERRUPTED, EXIT_USAGE) or self._programs.is_told_to_stop:
            self._put_back(unfinished)
            if code == EXIT_USAGE:
                raise _Ended(EXIT_USAGE, self._last_words())
            raise _Ended(EXIT_INTERRUPTED)
        self._survive(stage, stages, todo, code)

    def _call(self, command: Sequence[str]) -> int:
        if self._log is None:
            return self._programs.run(command)
        with open(self._log, "ab") as output:
            self._log_begin = output.tell()
            return self._programs.run(command, output)

    def _last_words(self) -> str:
        """Return what the last stage said last, where its output was kept."""
        return last_words(self._log, self._log_begin) if self._log else ""

    def _survive(
        self, stage: StageName, stages: Stages, todo: Sequence[PhotoRow], code: int
    ) -> None:
        """Go on after a stage's death, which nobody wished; raises ``_Ended`` if that is no use."""
        how, said = how_it_ended(code), self._last_words() or "nothing"
        begun = self._blame_the_begun(f"{{stage}} {how} while working on this photo")
        stages.sweep([row.photo for row in todo if row.photo in begun])
        self._deaths += 1
        self._say(f"{stage} {how} while working on {len(begun)} photos")
        if self._deaths >= (_MAX_DEATHS_AT_WORK if begun else _MAX_DEATHS_AT_START):
            self._say(f"{stage} died {self._deaths} times in a row without finishing a photo")
            raise _Ended(EXIT_FAILED, f"{stage} {how}; its last output: {said}")

    def _finish_empty(self, part: Part) -> None:
        """Copy, or skip, the photos in which nothing was selected; raises ``_Ended``."""
        photos = [row.photo for row in part.rows]
        due = [p for p in photos if self._is_open(p) and self._outcome(p).classes == {}]
        with ThreadPoolExecutor(_COPY_THREADS, thread_name_prefix="copies") as pool:
            for first in range(0, len(due), _COPIES_AT_ONCE):
                if self._programs.is_told_to_stop:
                    raise _Ended(EXIT_INTERRUPTED)
                some = due[first : first + _COPIES_AT_ONCE]
                list(pool.map(lambda photo: self._finish_one_empty(part, photo), some))
        self._ledger.refresh()

    def _finish_one_empty(self, part: Part, photo: str) -> None:
        target = part.stages.erased / photo
        try:
            if part.copies_empty and not target.exists():
                copy_result(part.stages.images / photo, target)
        except OSError as error:
            self._fail(photo, "copy", f"cannot be copied ({error.strerror})")
        else:
            self._writer.write(photo, "empty", stage="copy", copied=part.copies_empty)

    def _outcome(self, photo: str) -> Outcome:
        return self._ledger.outcomes.get(photo) or Outcome()

    def _fail(self, photo: str, stage: str, reason: str) -> None:
        """Note a failure; the photo's next chance comes with the next attempt."""
        self._writer.write(photo, "failed", stage=stage, reason=reason)
        self._failed_now.add(photo)

    def _blame_the_begun(self, reason: str) -> list[str]:
        """Give a failure to each photo that a stage was at when it died; return them."""
        begun = [(p, o.stage) for p, o in self._ledger.outcomes.items() if o.is_begun]
        for photo, stage in begun:
            self._writer.write(photo, "failed", stage=stage, reason=reason.format(stage=stage))
        self._ledger.refresh()
        return [photo for photo, _ in begun]

    def _put_back(self, photos: Sequence[str]) -> None:
        """Note that it was nobody's fault that these were begun and not finished."""
        for photo in photos:
            outcome = self._outcome(photo)
            if outcome.is_begun:
                self._writer.write(photo, "left", stage=outcome.stage)
        self._ledger.refresh()

    def _say(self, message: str) -> None:
        line = f"slice {self._number} of {self._manifest.num_slices}: {message}"
        if self._log is None:
            print(line, flush=True)
            return
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with open(self._log, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(f"{line}\n")


def forgive_failures(
    manifest: Manifest, number: int, environment: Mapping[str, str] = os.environ
) -> int:
    """Give the photos of a slice that were set aside another chance; return how many.

    Raises:
        UsageError: somebody is at work on the slice.
    """
    slice_dir = manifest.slice_dir(number)
    if not summarise(manifest, number).set_aside:
        return 0
    writer = LedgerWriter(attempt_path(slice_dir, environment))
    with FolderLock(slice_dir, environment), writer:
        # First, so that a crash in between leaves more to do and not less.
        (slice_dir / DONE_NAME).unlink(missing_ok=True)
        outcomes = read_slice(slice_dir).outcomes
        photos = [photo for photo, outcome in outcomes.items() if outcome.is_set_aside]
        for photo in photos:
            writer.write(photo, "forgiven", stage="retry")
    return len(photos)


def log_path(manifest: Manifest, number: int) -> Path:
    """Return the log file of a slice that runs outside Slurm."""
    return manifest.slice_dir(number) / _LOG_NAME


def _describe(summary: SliceSummary) -> str:
    parts = [f"{summary.erased} erased", f"{summary.empty} with nothing to erase"]
    parts += [f"{summary.failed} failed"] if summary.failed else []
    parts += [f"{summary.set_aside} set aside"] if summary.set_aside else []
    parts += [f"{summary.remaining} left"] if summary.remaining else []
    return ", ".join(parts)
