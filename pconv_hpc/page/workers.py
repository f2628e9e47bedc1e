"""The processes that work for the page: each network lives in one of its own."""

from pathlib import Path

from pconv_hpc.page.settings import PageSettings
from pconv_hpc.page.worker_process import WorkerProcess


class Workers:
    """The processes, none of which is started before it is needed.

    Args:
        settings: of the page.
        scratch: where their logs go.

    Attributes:
        pictures: see ``pictures.Pictures``.
        finding: see ``finding.Finding``; PyTorch.
        filling: see ``filling.Filling``; TensorFlow.
        runs: see ``runs.Runs``.
        review: see ``review.process.Review``.
    """

    def __init__(self, settings: PageSettings, scratch: Path) -> None:
        sizes = {"max_pixels": settings.max_pixels}
        network = {
            "config": settings.config,
            "checkpoint": settings.checkpoint and str(settings.checkpoint),
            "device": settings.device,
        }
        self.pictures = WorkerProcess(
            "pconv_hpc.page.processes.pictures",
            sizes,
            does="the process that reads photos",
            log=scratch / "pictures.log",
        )
        self.finding = WorkerProcess(
            "pconv_hpc.page.processes.finding",
            {**network, **sizes},
            does="the process that finds objects",
            log=scratch / "finding.log",
        )
        self.filling = WorkerProcess(
            "pconv_hpc.page.processes.filling",
            sizes,
            does="the process that fills holes",
            log=scratch / "filling.log",
        )

        self.review = WorkerProcess(
            "pconv_hpc.page.review.process",
            {"scratch": str(scratch / "members")},
            does="the process that reads erase folders",
            log=scratch / "review.log",
        )

        self.runs = WorkerProcess(
            "pconv_hpc.page.processes.runs",
            {},
            does="the process that reads training runs",
            log=scratch / "runs.log",
        )

    async def stop(self) -> None:
        """End all of them."""
        for worker in (self.pictures, self.finding, self.filling, self.review, self.runs):
            await worker.stop()
