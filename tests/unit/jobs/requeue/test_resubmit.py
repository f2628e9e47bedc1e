"""What is made of sbatch's answer, and of what a site file says meanwhile."""

from pathlib import Path

import pytest

from pconv_hpc.cluster.slurm_commands import sbatch_line
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.jobs.requeue.chain import STARTS_NAME, Start, append_start
from pconv_hpc.jobs.requeue.resubmit import continuation_line, submit
from tests.support.fake_slurm import FakeSlurm


def test_a_site_file_may_talk_and_end_as_it_likes(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.answer()
    site = tmp_path / "site.sh"
    site.write_text('echo "site: ours"\n[ -n "" ] && export Y=1\n')
    assert submit(sbatch_line(site, ["sbatch", "job"]), site) == "12"


def test_gpus_are_asked_for_in_one_way_only(tmp_path: Path) -> None:
    start = Start(
        chain="1",
        job_id=1,
        restart_count=0,
        progress=0,
        time="",
        options={"gres": "none", "gpus": "8"},
    )
    append_start(tmp_path / STARTS_NAME, start)
    for given in ({"gres": "gpu:4"}, {"gpus-per-task": "1"}):
        line = continuation_line(tmp_path, given=given, overrides=[], site=tmp_path / "site.sh")
        assert "--gpus=8" not in line


def test_an_answer_that_names_no_job_is_told(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.answer()
    site = tmp_path / "site.sh"
    site.touch()
    with pytest.raises(PconvError, match="sbatch answered 'hello'; expected a job number"):
        submit("echo hello", site)
