"""The documents tell the truth where a machine can say so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """A relative link names a file of the project."""
    links = re.findall(r"\]\(((?!https?:|#)[^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_the_project_exist(document: Path) -> None:
    """Where a document names a script of ours, it is there."""
    named = set(re.findall(r"(?:\./)?((?:scripts|docker|bench)/[\w.-]+)", document.read_text()))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_variables_of_the_entrypoint_are_documented() -> None:
    """What `entrypoint.sh` says it reads is in docs/operations.md, with the same defaults."""
    text = (ROOT / "docs/operations.md").read_text()
    named = re.findall(r"^#   ([A-Z_]+)  ", (ROOT / "entrypoint.sh").read_text(), re.MULTILINE)
    assert named
    assert [name for name in named if f"| `{name}` |" not in text] == []
