"""Istio's MERGE of protobuf messages: scalars overwrite, messages recurse, lists append, map entries replace.

Pure. In: a target message (changed in place) and a patch. Differs from protobuf's own merge in four ways: a Duration
is replaced whole, a map entry is replaced whole, two packed messages are merged inside, and a transport socket of
another name takes the place of the one there.
"""

from __future__ import annotations

from typing import Any

from graylane.mesh.filters.types import unpack

_DURATION = "google.protobuf.Duration"
_ANY = "google.protobuf.Any"
_SOCKET = "envoy.config.core.v3.TransportSocket"


def merge(target: Any, patch: Any) -> None:
    for field, value in patch.ListFields():
        if field.message_type is None:
            _merge_plain(target, field, value)
        elif field.message_type.GetOptions().map_entry:
            _merge_map(getattr(target, field.name), field, value)
        elif field.is_repeated:
            getattr(target, field.name).extend(value)
        elif field.message_type.full_name == _DURATION or _other_socket(target, field, value):
            getattr(target, field.name).CopyFrom(value)
        elif field.message_type.full_name == _ANY:
            _merge_packed(getattr(target, field.name), value)
        else:
            getattr(target, field.name).SetInParent()
            merge(getattr(target, field.name), value)


def _other_socket(target: Any, field: Any, value: Any) -> bool:
    return bool(field.message_type.full_name == _SOCKET and getattr(target, field.name).name != value.name)


def _merge_plain(target: Any, field: Any, value: Any) -> None:
    if field.is_repeated:
        getattr(target, field.name).extend(value)
    else:
        setattr(target, field.name, value)


def _merge_map(target: Any, field: Any, value: Any) -> None:
    of_messages = field.message_type.fields_by_name["value"].message_type is not None
    for key, entry in value.items():
        if of_messages:
            target[key].CopyFrom(entry)
        else:
            target[key] = entry


def _merge_packed(target: Any, patch: Any) -> None:
    if not target.type_url:
        target.CopyFrom(patch)
        return
    inside, ours = unpack(target), unpack(patch)
    if ours.DESCRIPTOR.full_name != inside.DESCRIPTOR.full_name:
        # As Istio does: the patch is read as the target's type, field by field.
        ours = type(inside).FromString(patch.value)
    merge(inside, ours)
    target.Pack(inside, deterministic=True)
