"""Reads manifests from files, folders and standard input.

Shell for reading, pure for everything else. In: paths. Out: objects in order, each with the place it came from, or a
`UserError` that names file, document and what is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from graylane.errors import UserError
from graylane.model.meta import Obj, dig

_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object as written, and where."""

    place: str
    object: Obj


def read(paths: list[Path]) -> list[Manifest]:
    """Everything in the given files and folders; a folder gives its YAML and JSON files in order of name."""
    return [manifest for path in paths for file in _files(path) for manifest in parse(_text(file), str(file))]


def _files(path: Path) -> list[Path]:
    if str(path) == "-":
        return [path]
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
        if not found:
            raise UserError(f"{path}: no {', '.join(_SUFFIXES)} file in this folder")
        return found
    return [path]


def _text(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; name an existing file or folder with -f") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not a text in UTF-8; name a YAML or JSON file with -f") from error


def parse(text: str, name: str) -> list[Manifest]:
    """Pure: the objects of one stream of YAML documents; `List`s are opened, empty documents skipped."""
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise UserError(f"{name}: not YAML: {_where(error)}") from error
    numbered = [(f"{name}, document {number}", document) for number, document in enumerate(documents, 1)]
    return [manifest for place, document in numbered for manifest in _open(place, document)]


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} in line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem)


def _open(place: str, document: Any) -> Iterator[Manifest]:
    if not isinstance(document, dict):
        raise UserError(f"{place}: an object is expected, not {type(document).__name__}")
    if document.get("kind") == "List":
        for number, item in enumerate(document.get("items") or [], 1):
            yield from _open(f"{place}, item {number}", item)
        return
    for path in (("apiVersion",), ("kind",), ("metadata", "name")):
        if not isinstance(dig(document, *path), str):
            raise UserError(f"{place}: {'.'.join(path)} is missing; every object needs it")
    yield Manifest(place, document)
