"""The process that fills holes for the page: TensorFlow, and never PyTorch."""

import json
import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.foundation.typed_values import build
from pconv_hpc.inpainting.detail import Detail
from pconv_hpc.inpainting.photo_task import Job
from pconv_hpc.page.processes.worker_loop import Replies, serve, take_over_output
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS

_MAX_NETWORKS = 4


class Filling:
    """Fills holes with the networks of ``pconv-hpc inpaint``, each loaded when it is needed.

    Args:
        replies: tells what is being done.
        max_pixels: larger photos are refused before they are decoded; ``None``: the commands'
            own limit.
    """

    def __init__(self, replies: Replies, *, max_pixels: int | None) -> None:
        self._replies = replies
        self._max_pixels = max_pixels or DEFAULT_MAX_PIXELS
        self._networks: OrderedDict[str, Any] = OrderedDict()

    def erase(
        self,
        photo: str,
        mask: str,
        output: str,
        *,
        weights: str,
        detail: Detail,
        settings: dict[str, Any],
        name: str,
    ) -> list[str]:
        """Write the erased photo as the command does; return its notes on the file.

        Args:
            photo: its file.
            mask: the file of its mask.
            output: where the erased photo goes.
            weights: of the network.
            detail: how texture is made.
            settings: of erasing, as a manifest records them; what is left out is at its default.
            name: what people call the photo.
        """
        inpainter = self._loaded(weights, settings)
        from pconv_hpc.inpainting.batches import erase_all

        inpainter.settings = replace(inpainter.settings, detail=detail)
        self._replies.say(f"erasing from {name}")
        job = Job(Path(photo), Path(mask), Path(output))
        try:
            (result,) = erase_all(
                [job], inpainter, num_threads=1, overwrite=True, max_pixels=self._max_pixels
            )
        finally:
            self._replies.say("ready")
        if result.status == "failed":
            raise PconvError(result.reason)
        return list(result.notes)

    def _loaded(self, weights: str, settings: dict[str, Any]) -> Any:
        key = json.dumps([weights, settings], sort_keys=True)
        if key in self._networks:
            self._networks.move_to_end(key)
            return self._networks[key]
        self._replies.say("loading TensorFlow")
        from pconv_hpc.inpainting.inpainter import load_inpainter

        self._replies.say(f"loading the network {Path(weights).name}")
        try:
            every = build(EraseSettings, settings, "settings", prefix="")
            self._networks[key] = load_inpainter(
                Path(weights),
                settings=every.inpaint,
                batch_size=every.resources.inpaint_batch_size,
                precision=every.inpaint.precision,
            )
        finally:
            self._replies.say("ready")
        while len(self._networks) > _MAX_NETWORKS:
            self._networks.popitem(last=False)
        return self._networks[key]


def main() -> None:
    """Serve until standard input ends."""
    replies = take_over_output()
    filling = Filling(replies, **json.loads(sys.argv[1]))
    serve({"erase": filling.erase}, replies, num_threads=1)


if __name__ == "__main__":
    main()
