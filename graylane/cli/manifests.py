"""Reads manifests from files, folders and standard input.

Shell for reading, pure for everything else. In: paths. Out: objects in order, each with the place it came from, or a
`UserError` that names file, document and what is missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from graylane.errors import UserError
from graylane.model.meta import Obj, dig

_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object as written, and where; `node` is what YAML's parser made of it, with every field's line."""

    place: str
    object: Obj
    file: str = ""
    node: yaml.Node | None = field(default=None, compare=False)


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
        documents = [(node, document) for node, document in _documents(text) if document is not None]
    except yaml.YAMLError as error:
        raise UserError(f"{name}: not YAML: {_where(error)}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: not what JSON can say: {error}") from error
    return [
        manifest
        for number, (node, document) in enumerate(documents, 1)
        for manifest in _open(f"{name}, document {number}", document, name, node)
    ]


class _Loader(yaml.SafeLoader):
    """Times stay text, as they are to Kubernetes."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _documents(text: str) -> Iterator[tuple[yaml.Node, Any]]:
    """As JSON would have them: every key is text. Raises ValueError where something contains itself."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            if (node := loader.get_node()) is not None:
                yield node, json.loads(json.dumps(loader.construct_document(node)))
    finally:
        loader.dispose()


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} in line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem)


def _open(place: str, document: Any, file: str, node: yaml.Node) -> Iterator[Manifest]:
    if not isinstance(document, dict):
        raise UserError(f"{place}: an object is expected, not {type(document).__name__}")
    if document.get("kind") == "List":
        items: list[yaml.Node] = next((value.value for key, value in node.value if key.value == "items"), [])
        for number, (item, written) in enumerate(zip(document.get("items") or [], items, strict=True), 1):
            yield from _open(f"{place}, item {number}", item, file, written)
        return
    for path in (("apiVersion",), ("kind",), ("metadata", "name")):
        if not isinstance(dig(document, *path), str):
            raise UserError(f"{place}: {'.'.join(path)} is missing; every object needs it")
    yield Manifest(place, document, file, node)
