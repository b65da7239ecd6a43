"""Patch values parsed into Envoy's messages.

Pure. In: JSON as an EnvoyFilter holds it (camelCase or snake_case). Out: protobuf messages, or `BadValue` saying why
not. A message inside `typed_config` is found by its type URL; its module is imported when first asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

import udpa.type.v1.typed_struct_pb2  # noqa: F401  registers the type under which extensions without one travel
import xds.type.v3.typed_struct_pb2  # noqa: F401
from google.protobuf import descriptor_pool, json_format, message_factory

_PREFIX = "type.googleapis.com/"


class BadValue(ValueError):
    """The value cannot be read as the message it should be."""


def parse(value: Any, message: Any, path: str) -> list[str]:
    """Fill `message` from `value`. Returns complaints that do not prevent its use (fields nobody knows)."""
    for url in _type_urls(value):
        _load(url, path)
    try:
        json_format.ParseDict(value, message)
        return []
    except json_format.ParseError as strict:
        message.Clear()
        try:
            json_format.ParseDict(value, message, ignore_unknown_fields=True)
        except json_format.ParseError as error:
            raise BadValue(f"{path}: {_first_line(error)}") from error
        return [f"{path}: {_first_line(strict)}"]


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]


def _type_urls(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["@type"]] if isinstance(value.get("@type"), str) else []
        return own + [url for below in value.values() for url in _type_urls(below)]
    if isinstance(value, list):
        return [url for below in value for url in _type_urls(below)]
    return []


def _load(url: str, path: str) -> None:
    name = url.removeprefix(_PREFIX)
    _import_package(name.rpartition(".")[0])
    try:
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
