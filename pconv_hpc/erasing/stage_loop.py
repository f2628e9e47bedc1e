"""What a stage says of many photos: progress, failures, counts, and how it exits."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from tqdm import tqdm

from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from pconv_hpc.foundation.stop_request import StopRequest


class PhotoResult(Protocol):
    """What became of a photo; ``failed`` among others, with a reason."""

    @property
    def status(self) -> str: ...

    @property
    def reason(self) -> str: ...


R = TypeVar("R", bound=PhotoResult)


def follow(
    results: Iterable[R], num_photos: int, stop: StopRequest, note: Callable[[R], None]
) -> int:
    """Show progress and failures while results come, then their counts; return the exit code.

    Args:
        results: of photos, as they are finished.
        num_photos: how many there would be if nothing stopped them.
        stop: what would.
        note: called with each result, to account for it.
    """
    counts = Counter[str]()
    with tqdm(total=num_photos, unit="photo") as bar:
        for result in results:
            counts[result.status] += 1
            bar.update()
            note(result)
            if result.status == "failed":
                bar.write(f"failed: {result.reason}", file=sys.stderr)
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    unfinished = num_photos - counts.total()
    if unfinished:
        print(
            f"stopped by {stop.signal_name} with {unfinished} photos left; run the same command "
            "again to continue",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    return EXIT_FAILED if counts["failed"] else EXIT_DONE
