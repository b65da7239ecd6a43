"""Documents stay true: links lead somewhere, the map's files exist, both READMEs show the same commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graylane.cluster.apiserver import limits
from graylane.cluster.apiserver.resources import BUILT_IN

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:graylane|tests|examples|docs|bench)/[\w./*-]*)`")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_link_of_a_document_leads_to_a_file(document: Path) -> None:
    missing = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    missing = [path for path in PATH.findall(document.read_text()) if not any(ROOT.glob(path.rstrip("/")))]
    assert missing == []


def test_the_limits_of_the_api_are_those_of_its_tables() -> None:
    page = (ROOT / "docs/limits.md").read_text()
    assert page == limits.page(page), "run: python tools/write_limits.py"
    assert all(f"{kind.kind}" in page for kind in BUILT_IN)


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = (_commands(ROOT / name) for name in ("README.md", "README.zh-CN.md"))
    assert english == chinese
    assert len(english) > 15


def _commands(document: Path) -> list[str]:
    lines = (line.strip() for line in document.read_text().splitlines())
    return [line.partition("  #")[0].strip() for line in lines if line.startswith(("$ ", "make "))]
