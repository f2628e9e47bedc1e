"""The job that outlives its time limits; it runs beside the other tests, and is looked at last."""

import pytest

from tests.integration.cluster.limited_run import LimitedRun
from tests.integration.cluster.training_jobs import assert_same_weights, starts_of, uninterrupted

pytestmark = [pytest.mark.cluster, pytest.mark.mpi]


@pytest.mark.limited_run
def test_time_limits_shorter_than_the_run_change_nothing_but_its_duration(
    limited_run: LimitedRun,
) -> None:
    client, folder, job = limited_run.client, limited_run.folder, limited_run.job
    run = folder.run(limited_run.name)
    (record,) = client.wait(job, "COMPLETED", restarts=2, timeout_s=600)

    progress = [int(str(start["progress"])) for start in starts_of(run)]
    assert progress == sorted(set(progress)), "every start must have added steps"
    assert len(progress) == int(record["Restarts"]) + 1
    assert "stopped by SIGUSR2" in folder.log(job)
    assert_same_weights(run, uninterrupted())
