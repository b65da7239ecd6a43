"""Decode Kubernetes' protobuf request bodies, which `kubectl create` and typed Go clients send.

Pure. In: a body that starts with `k8s\\0`. Out: the same object as its JSON would have given; `BadRequest` when it is
truncated, `UnsupportedMediaType` naming the kind when we have no field numbers for it. Field numbers come from
`data/fields.txt`, types from the kinds' schemas, so no generated code is needed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from graylane.cluster.apiserver.schema.components import Components
from graylane.cluster.apiserver.schema.node import Node
from graylane.cluster.apiserver.wire.fields import Field, Message, message
from graylane.cluster.apiserver.wire.varint import Truncated, text, wire_fields
from graylane.errors import BadRequest, UnsupportedMediaType
from graylane.model.meta import Obj

MAGIC = b"k8s\x00"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."


def is_protobuf(body: bytes) -> bool:
    return body.startswith(MAGIC)


def decode(body: bytes) -> Obj:
    """The object inside the envelope, with its apiVersion and kind."""
    if not is_protobuf(body):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix k8s\\x00")
    try:
        api_version, kind, raw = _envelope(body[len(MAGIC) :])
        return _object(api_version, kind, raw)
    except (Truncated, UnicodeDecodeError, OverflowError) as error:
        raise BadRequest(f"the protobuf body is damaged: {error}") from error


def _envelope(body: bytes) -> tuple[str, str, bytes]:
    """`runtime.Unknown`: type meta (1), the object's bytes (2), their encoding (3) and media type (4)."""
    parts = {number: value for number, value in wire_fields(body) if isinstance(value, bytes)}
    meta = {number: text(value) for number, value in wire_fields(parts.get(1, b""))}
    if parts.get(3):
        raise UnsupportedMediaType(f"protobuf bodies encoded as {text(parts[3])} are not understood; send them plain")
    return meta.get(1, ""), meta.get(2, ""), parts.get(2, b"")


def _object(api_version: str, kind: str, raw: bytes) -> Obj:
    group, _, version = api_version.rpartition("/")
    components = Components.load()
    # DeleteOptions and other machinery types travel under the group they are sent to.
    name = components.kinds.get((group, version, kind)) or _META + kind
    table = message(name)
    if table is None or name not in components.schemas:
        raise UnsupportedMediaType(f"{kind} of {api_version} cannot be decoded from protobuf here; send it as JSON")
    return {"apiVersion": api_version, "kind": kind, **_decode_message(components.node(name), table, raw)}


def _decode_message(node: Node, table: Message, raw: bytes) -> Obj:
    """One message as a JSON object, without the zero values that Go would leave out."""
    out: Obj = {}
    for number, value in wire_fields(raw):
        field = table.get(number)
        if field is None:
            continue  # a field newer than our table: kube-apiserver drops those too
        if field.inline:
            out |= _decode_message(node, _table(field.inline), _bytes(value))
        elif field.name in node.fields:
            _put(out, field, node.fields[field.name], value)
    return out


def _put(out: Obj, field: Field, node: Node, value: Any) -> None:
    if node.type == "array":
        # Repeated scalars arrive one by one: Kubernetes' messages are proto2 and never packed.
        out.setdefault(field.name, []).append(_value(node.items or _TEXT, value))
    elif node.extra is not None and not node.fields:
        key, item = _map_entry(node.extra, _bytes(value))
        out.setdefault(field.name, {})[key] = item
    else:
        decoded = _value(node, value)
        if field.keeps_zero or decoded:
            out[field.name] = decoded


def _map_entry(node: Node, raw: bytes) -> tuple[str, Any]:
    parts = dict(wire_fields(raw))
    return text(parts.get(1, b"")), _value(node, parts.get(2, b""))


def _value(node: Node, value: Any) -> Any:
    if node.type == "array":  # a list inside a map or list is a message with the items in field 1
        return [_value(node.items or _TEXT, item) for _, item in wire_fields(_bytes(value))]
    special = _BY_DEFINITION.get(node.definition)
    if special is not None:
        return special(_bytes(value))
    decode_as = _BY_TYPE.get(node.type)
    if decode_as is not None:
        return decode_as(node, value)
    return _decode_message(node, _table(node.definition), _bytes(value))


def _string(node: Node, value: Any) -> str:
    raw = _bytes(value)
    return base64.b64encode(raw).decode() if node.format == "byte" else text(raw)


def _integer(node: Node, value: Any) -> int:
    if not isinstance(value, int):
        raise Truncated("a number is written as bytes")
    return value - (1 << 64) if value >= 1 << 63 else value


def _boolean(node: Node, value: Any) -> bool:
    return bool(value)


def _int_or_string(node: Node, value: Any) -> int | str:
    parts = dict(wire_fields(_bytes(value)))
    return text(parts.get(3, b"")) if parts.get(1) else _integer(node, parts.get(2, 0))


def _quantity(raw: bytes) -> str:
    return text(dict(wire_fields(raw)).get(1, b"")) or "0"


def _time(raw: bytes) -> str | None:
    return _moment(raw, micro=False)


def _micro_time(raw: bytes) -> str | None:
    return _moment(raw, micro=True)


def _moment(raw: bytes, *, micro: bool) -> str | None:
    """Seconds (1) and nanoseconds (2) since 1970; an empty message is Go's zero time, JSON null."""
    parts = dict(wire_fields(raw))
    if not parts:
        return None
    seconds = _integer(_TEXT, parts.get(1, 0))
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    if moment.year <= 1:
        return None
    fraction = f".{_integer(_TEXT, parts.get(2, 0)) // 1000:06d}" if micro else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _raw_json(raw: bytes) -> Any:
    """JSON carried as bytes inside a message; nothing at all is null."""
    data = _bytes(dict(wire_fields(raw)).get(1, b""))
    if not data:
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Truncated(f"embedded JSON: {error}") from error


def _table(name: str) -> Message:
    table = message(name)
    if table is None:
        raise UnsupportedMediaType(f"{name} cannot be decoded from protobuf here; send the object as JSON")
    return table


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise Truncated("a message is written as a number")
    return value


_TEXT = Node(type="string")
_BY_TYPE: dict[str, Callable[[Node, Any], Any]] = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "int-or-string": _int_or_string,
}
_BY_DEFINITION: dict[str, Callable[[bytes], Any]] = {
    _META + "Time": _time,
    _META + "MicroTime": _micro_time,
    _META + "FieldsV1": _raw_json,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": _raw_json,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _quantity,
}
