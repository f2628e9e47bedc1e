"""What is made of sbatch's answer, and of what a site file says meanwhile."""

from pathlib import Path

import pytest

from pconv_hpc.errors import PconvError
from pconv_hpc.slurm.commands import sbatch_line
from pconv_hpc.slurm.resubmit import submit
from tests.slurm.fake_slurm import FakeSlurm


def test_a_site_file_may_talk_and_end_as_it_likes(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.answer()
    site = tmp_path / "site.sh"
    site.write_text('echo "site: ours"\n[ -n "" ] && export Y=1\n')
    assert submit(sbatch_line(site, ["sbatch", "job"]), site) == "12"


def test_an_answer_that_names_no_job_is_told(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.answer()
    site = tmp_path / "site.sh"
    site.touch()
    with pytest.raises(PconvError, match="sbatch answered 'hello'; expected the number of a job"):
        submit("echo hello", site)
