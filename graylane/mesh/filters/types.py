"""Patch values parsed into Envoy's messages.

Pure. In: JSON as an EnvoyFilter holds it (camelCase or snake_case). Out: protobuf messages, or `BadValue` saying why
not. A message inside `typed_config` is found by its type URL; its module is imported when first asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from typing import Any

import udpa.type.v1.typed_struct_pb2  # noqa: F401  registers the type under which extensions without one travel
import xds.type.v3.typed_struct_pb2  # noqa: F401
from google.protobuf import descriptor_pool, json_format, message_factory

MOST_FIELDS = 50_000
_PREFIX = "type.googleapis.com/"
_FORMER = re.compile(r"^envoy\..*\.v2(alpha\d*)?\.")  # messages of the API before v3, which Envoy has forgotten
_OUTER = re.compile(r"Failed to parse (\w+) field: ")
_UNKNOWN = re.compile(r'has no field named "(\w+)" at "([^"]*)"')
_AT = re.compile(r" at (\w[\w.\[\]]*?)\.*$")


# The parser takes for granted that an `@type` is a text: one that is a list is no ParseError.
_UNREADABLE = (json_format.ParseError, AttributeError, TypeError)


class BadValue(ValueError):
    """The value cannot be read as the message it should be."""


def parse(value: Any, message: Any, path: str) -> list[str]:
    """Fill `message` from `value`. Returns complaints that do not prevent its use (fields nobody knows)."""
    if not isinstance(value, dict):
        raise BadValue(f"{path}: a map of fields is expected, not {type(value).__name__}")
    for url in _type_urls(value, path):
        _load(url, path)
    try:
        json_format.ParseDict(value, message)
        return []
    except _UNREADABLE as strict:
        message.Clear()
        try:
            json_format.ParseDict(value, message, ignore_unknown_fields=True)
        except _UNREADABLE as error:
            raise BadValue(_located(error, path)) from error
        return [_located(strict, path)]


def _located(error: Exception, path: str) -> str:
    """`PATH.load_assignment.endpoints: why` for what the parser tells from the outside in."""
    said = str(error).split("\n", 1)[0]
    names = []
    while found := _OUTER.match(said):
        names.append(found[1])
        said = said[found.end() :]
    if unknown := _UNKNOWN.search(said):
        names += [*unknown[2].split(".")[1:], unknown[1]]
        said = f"{said[: unknown.start()]}has no field named {unknown[1]!r}"
    elif placed := _AT.search(said):
        names, said = placed[1].split(".")[1:], said[: placed.start()].rstrip(".")
    return f"{'.'.join([path, *names])}: {said.rstrip('.')}"


def _type_urls(value: Any, path: str) -> set[str]:
    """Every `@type` in a value. Raises `BadValue` for one too large to be read while others wait."""
    found, left, count = set(), [value], 0
    while left:
        each = left.pop()
        below = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        if isinstance(each, dict) and isinstance(each.get("@type"), str):
            found.add(each["@type"])
        count += len(below)
        if count > MOST_FIELDS:
            raise BadValue(f"{path}: more than {MOST_FIELDS:,} fields and entries are not read")
        left.extend(below)
    return found


def _load(url: str, path: str) -> None:
    name = url.removeprefix(_PREFIX)
    _import_package(name.rpartition(".")[0])
    try:
        if _FORMER.search(name):
            raise KeyError(name)
        descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        raise BadValue(f"{path}: no message of type {url!r} is known to Envoy 1.40") from None


@cache
def _import_package(package: str) -> None:
    """Import every `*_pb2` module of one protobuf package; modules are not named after their messages."""
    if not package.startswith(("envoy.", "udpa.", "xds.", "google.protobuf")):
        return
    try:
        home = importlib.import_module(package)
    except ImportError:
        return
    for module in pkgutil.iter_modules(getattr(home, "__path__", [])):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{module.name}")


def unpack(packed: Any) -> Any:
    """The message inside an `Any` whose type has been loaded."""
    name = packed.type_url.removeprefix(_PREFIX)
    _load(packed.type_url, "typed_config")
    message = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))()
    packed.Unpack(message)
    return message
