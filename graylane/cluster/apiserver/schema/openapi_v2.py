"""The OpenAPI v2 document in gnostic's protobuf, which kubectl 1.28 and older cannot do without.

Pure. In: the same resources and schemas as the v3 documents. Out: bytes. Only what those clients read is written:
definitions with their merge extensions, and PATCH operations with their query parameters. Numbers are those of
gnostic's `OpenAPIv2.proto`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema.components import Components, reference
from graylane.cluster.apiserver.schema.openapi import Crds, component_schemas, resource_paths
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.model.meta import Obj

# With the `@` that the request uses, Go's media type parser rejects the answer.
CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_DOCUMENT = {"swagger": 1, "info": 2, "paths": 8, "definitions": 9}
_SCHEMA = {"ref": 1, "format": 2, "description": 4, "required": 19, "extra": 21, "type": 22, "items": 23}
_PROPERTIES, _EXTENSION = 25, 31
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def v2_protobuf(resources: Iterable[Resource], schemas: Schemas, crds: Crds) -> bytes:
    """All groups in one document. `crds` maps (group, version, kind) to `openAPIV3Schema`."""
    served = list(resources)
    info = _text(1, "Graylane") + _text(2, f"v{schemas.components.version}.0")
    found = component_schemas(served, schemas.components, crds)
    definitions = b"".join(_named(1, name, _schema(schema)) for name, schema in sorted(found.items()))
    paths = b"".join(_paths(resource, schemas.components) for resource in served)
    return b"".join(
        (
            _text(_DOCUMENT["swagger"], "2.0"),
            _bytes(_DOCUMENT["info"], info),
            _bytes(_DOCUMENT["paths"], paths),
            _bytes(_DOCUMENT["definitions"], definitions),
        )
    )


def _paths(resource: Resource, components: Components) -> bytes:
    """`NamedPathItem`s with the operations old clients look at: which parameters PATCH takes."""
    out = b""
    for path, operations in resource_paths(resource, components).items():
        item = b"".join(
            _bytes(_METHODS[method], _operation(operation))
            for method, operation in operations.items()
            if method in _METHODS
        )
        out += _named(2, path, item)
    return out


def _operation(operation: Obj) -> bytes:
    parameters = b"".join(_bytes(8, _query_parameter(entry["name"])) for entry in operation.get("parameters", ()))
    gvk = "x-kubernetes-group-version-kind"
    return (
        _text(5, operation["operationId"])
        + parameters
        + _bytes(9, _named(1, "200", _bytes(1, _text(1, "OK"))))
        + _bytes(13, _extension(gvk, operation[gvk]))
    )


def _query_parameter(name: str) -> bytes:
    """ParametersItem → Parameter → NonBodyParameter → QueryParameterSubSchema."""
    query = _text(2, "query") + _text(4, name) + _text(6, "string")
    return _bytes(1, _bytes(2, _bytes(3, query)))


def _schema(schema: Mapping[str, Any]) -> bytes:
    out = b""
    if name := reference(schema):
        out += _text(_SCHEMA["ref"], f"#/definitions/{name}")
    if isinstance(schema.get("format"), str):
        out += _text(_SCHEMA["format"], schema["format"])
    if schema.get("description"):
        out += _text(_SCHEMA["description"], schema["description"])
    for field in schema.get("required") or ():
        out += _text(_SCHEMA["required"], field)
    extra, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(extra, Mapping):
        out += _bytes(_SCHEMA["extra"], _bytes(1, _schema(extra)))
    if kind := schema.get("type"):
        out += _bytes(_SCHEMA["type"], _text(1, kind))
    if isinstance(items, Mapping):
        out += _bytes(_SCHEMA["items"], _bytes(1, _schema(items)))
    properties = schema.get("properties") or {}
    if properties:
        out += _bytes(_PROPERTIES, b"".join(_named(1, name, _schema(child)) for name, child in properties.items()))
    for name, value in schema.items():
        if name.startswith("x-"):
            out += _bytes(_EXTENSION, _extension(name, value))
    return out


def _extension(name: str, value: Any) -> bytes:
    """NamedAny; the value is YAML text, and JSON is YAML."""
    return _text(1, name) + _bytes(2, _text(2, orjson.dumps(value).decode()))


def _named(number: int, name: str, value: bytes) -> bytes:
    return _bytes(number, _text(1, name) + _bytes(2, value))


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
