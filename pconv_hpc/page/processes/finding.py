"""The process that finds objects for the page: PyTorch, and never TensorFlow."""

import json
import sys
from pathlib import Path
from typing import Any

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.page.processes.worker_loop import Replies, serve, take_over_output
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS
from pconv_hpc.segmentation.choices import Choices
from pconv_hpc.segmentation.photo_places import Places
from pconv_hpc.segmentation.selection import Selection


class Finding:
    """Finds objects with the network of ``pconv-hpc segment``, which is loaded when it is needed.

    Args:
        replies: tells what is being done.
        config: see ``Segmenter``.
        checkpoint: see ``Segmenter``.
        device: see ``Segmenter``.
        max_pixels: larger photos are refused before they are decoded; ``None``: the commands'
            own limit.
    """

    def __init__(
        self,
        replies: Replies,
        *,
        config: str | None,
        checkpoint: str | None,
        device: str | None,
        max_pixels: int | None,
    ) -> None:
        self._replies = replies
        self._config = config
        self._checkpoint = Path(checkpoint) if checkpoint else None
        self._device = device
        self._max_pixels = max_pixels or DEFAULT_MAX_PIXELS
        self._segmenter: Any = None

    def find(self, photo: str, name: str, instances: str) -> int:
        """Write the file of instances of a photo; return how many objects were found."""
        segmenter = self._loaded()
        from pconv_hpc.segmentation.batches import Wish, segment_all

        folder = Path(instances).parent
        self._replies.say(f"looking for objects in {name}")
        places = Places(
            image=name,
            photo=Path(photo),
            instances=Path(instances),
            mask=folder / "mask.png",
            overlay=folder / "overlay.jpg",
        )
        wish = Wish(choices=Choices(Selection()), max_pixels=self._max_pixels)
        try:
            (result,) = segment_all([places], segmenter, wish, num_threads=1)
        finally:
            self._replies.say("ready")
        if result.status == "failed":
            raise PconvError(result.reason)
        return result.num_found

    def _loaded(self) -> Any:
        if self._segmenter is None:
            self._replies.say("loading PyTorch")
            from pconv_hpc.segmentation.segmenter import Segmenter

            self._replies.say("loading the network that finds objects")
            try:
                self._segmenter = Segmenter(self._config, self._checkpoint, self._device)
            finally:
                self._replies.say("ready" if self._segmenter else "not available")
        return self._segmenter


def main() -> None:
    """Serve until standard input ends."""
    replies = take_over_output()
    finding = Finding(replies, **json.loads(sys.argv[1]))
    serve({"find": finding.find}, replies, num_threads=1)


if __name__ == "__main__":
    main()
