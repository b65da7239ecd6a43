"""Every module says what it is for and whether it touches the outside; those that say Pure keep their word."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "graylane"
MODULES = sorted(path for path in ROOT.rglob("*.py") if len(ast.parse(path.read_text()).body) > 1)
OUTSIDE = {"asyncio", "time", "random", "os", "socket", "logging", "subprocess", "threading", "aiohttp", "grpc", "ssl"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT.parent))


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_says_what_it_is_for_and_whether_it_is_pure(path: Path) -> None:
    text = _docstring(path)
    assert text, "no docstring"
    assert "Pure" in text or "Shell" in text, "the docstring must say Pure or Shell"


@pytest.mark.parametrize("path", [path for path in MODULES if "Pure" in _docstring(path)], ids=_name)
def test_a_pure_module_imports_nothing_that_reaches_outside(path: Path) -> None:
    if "Shell" in _docstring(path):
        pytest.skip("a shell that mentions purity")
    assert not _imports(path) & OUTSIDE


def test_no_module_has_grown_a_second_noun() -> None:
    long = {_name(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > 450} == {}
