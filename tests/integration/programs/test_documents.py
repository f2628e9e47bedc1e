"""What the documents name exists, and every program explains itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

ROOTS = (REPOSITORY, REPOSITORY / "pconv_hpc")  # what documents name is within one
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
TOOLS = sorted((REPOSITORY / "tools").glob("*.py"))
SOURCES = sorted(
    path
    for folder in ("pconv_hpc", "tools", "jobs", "configs", "benchmarks")
    for path in (REPOSITORY / folder).rglob("*")
    if path.suffix in (".py", ".sh", ".sbatch", ".yaml") and "docs/" in path.read_text()
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_to_headings(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s:]*)#([^)]*)\)", path.read_text())
    missing = [
        f"{link}#{anchor}"
        for link, anchor in links
        if anchor not in headings(path.parent / link if link else path)
    ]
    assert missing == []


def headings(document: Path) -> list[str]:
    """Return the anchors that a document's headings get."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_files_of_the_project_that_are_named_exist(path: Path) -> None:
    named = re.findall(
        r"(?<![\w/])(?:tools|configs|jobs|tests)/[\w./-]*\w\.(?:py|ya?ml|sh|sbatch)\b",
        path.read_text(),
    )
    own_choice = {"tools/NAME.py", "jobs/site.sh"}  # a placeholder; what each site writes itself
    missing = [
        n for n in named if n not in own_choice and not any((root / n).exists() for root in ROOTS)
    ]
    assert missing == []


def test_the_index_lists_every_document() -> None:
    docs = REPOSITORY / "docs"
    listed = re.findall(r"\]\(((?:guide|reference)/[^)#]+\.md)\)", (docs / "README.md").read_text())
    there = [path.relative_to(docs).as_posix() for path in docs.glob("*/*.md")]
    assert sorted(listed) == sorted(there)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_documents_that_code_names_exist(path: Path) -> None:
    named = re.findall(r"(?<![\w/])docs/[\w./-]*\w\.(?:md|ya?ml)\b", path.read_text())
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_help_teaches(path: Path) -> None:
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "examples:" in done.stdout
    shown = re.match(r"usage: (pconv-hpc \S+|\S+)", done.stdout)
    assert shown is not None
    assert shown[1] in done.stdout.split("examples:")[1]
    unknown = subprocess.run(
        [sys.executable, path, "--no-such-option"], capture_output=True, text=True
    )
    assert unknown.returncode == 2
    assert "Traceback" not in unknown.stderr
