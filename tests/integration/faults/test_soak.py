"""The table of the soak, from one machine to the next."""

from pathlib import Path

from tests.integration.faults import soak


def test_the_table_of_the_document_is_where_another_machine_goes_on(tmp_path: Path) -> None:
    soak.begin_with_table(tmp_path)
    tallies = [soak.read_tally(tmp_path, row) for row in range(len(soak.FAULTS))]
    assert all(tally["tried"] for tally in tallies)
    assert soak.table(tallies) in soak.DOCUMENT.read_text(encoding="utf-8")


def test_counts_of_the_folder_are_kept_and_losses_are_told(tmp_path: Path) -> None:
    (tmp_path / "row_1.json").write_text('{"tried": 7, "lost": 2}')
    soak.begin_with_table(tmp_path)
    tallies = [soak.read_tally(tmp_path, row) for row in range(len(soak.FAULTS))]
    name = soak.FAULTS[1].name
    assert f"| {name} | 7 | {soak.FAULTS[1].wanted} | 2 |\n" in soak.table(tallies)
