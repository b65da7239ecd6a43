"""What the files of a volume hold: ConfigMaps, Secrets, the pod itself, tokens, or several of these in one.

Pure. In: a volume of the pod and `Given`. Out: path → `File`, or `ConfigProblem` in kubelet's words.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graylane.cluster.kubelet.downward import ConfigProblem, Place, container_named, field_value, resource_value
from graylane.cluster.kubelet.environment import Source, data_of
from graylane.model.kinds import CONFIG_MAP, SECRET, Kind
from graylane.model.meta import Obj, dig

_MODE = 0o644
_TOKEN_SECONDS = 3600
_REFERENCES = {"configMap": (CONFIG_MAP, "name"), "secret": (SECRET, "secretName")}
_FILLED = ("configMap", "secret", "downwardAPI", "projected")
PARTS = ("configMap", "secret", "downwardAPI", "serviceAccountToken")  # of a projected volume


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    mode: int = _MODE


@dataclass(frozen=True, slots=True)
class Wish:
    """A token of the pod's service account, for an audience ("": the API server's own)."""

    audience: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Given:
    """All that files are made of: `objects` and `tokens` hold what there is of what was asked for."""

    pod: Obj
    place: Place
    objects: Mapping[Source, Obj]
    tokens: Mapping[Wish, str]


@dataclass(frozen=True, slots=True)
class Part:
    """One source of one volume. `projected` sources name their Secret otherwise."""

    volume: str
    kind: str
    reference: Mapping[str, Any]
    mode: int


def is_filled(volume: Mapping[str, Any]) -> bool:
    """Its files are written for the pod, and follow what they are made of."""
    return any(kind in volume for kind in _FILLED)


def volume_sources(pod: Obj) -> set[Source]:
    """The ConfigMaps and Secrets whose contents `files_of` needs."""
    return {source for part in _all_parts(pod) if (source := _source(part)) is not None}


def token_wishes(pod: Obj) -> set[Wish]:
    return {_wish(part.reference) for part in _all_parts(pod) if part.kind == "serviceAccountToken"}


def files_of(volume: Mapping[str, Any], given: Given) -> dict[str, File]:
    """Of two sources that write the same path the later one wins."""
    files: dict[str, File] = {}
    for part in _parts(volume):
        files |= _files(part, given)
    return files


def _all_parts(pod: Obj) -> Iterator[Part]:
    for volume in dig(pod, "spec", "volumes", default=[]):
        yield from _parts(volume)


def _parts(volume: Mapping[str, Any]) -> Iterator[Part]:
    name = str(volume.get("name", ""))
    if "projected" in volume:
        mode = _number(volume["projected"].get("defaultMode"), _MODE)
        for source in volume["projected"].get("sources") or []:
            yield from (Part(name, kind, source[kind], mode) for kind in PARTS if kind in source)
        return
    for kind in PARTS:
        if kind in volume:
            yield Part(name, kind, volume[kind], _number(volume[kind].get("defaultMode"), _MODE))


def _files(part: Part, given: Given) -> dict[str, File]:
    match part.kind:
        case "downwardAPI":
            items = part.reference.get("items") or []
            return {_path(part, item): _of_the_pod(part, item, given) for item in items}
        case "serviceAccountToken":
            token = given.tokens.get(_wish(part.reference))
            if token is None:
                raise _unmountable(part, "the API gives no token for the pod's service account")
            return {_path(part, part.reference): File(token.encode(), part.mode)}
        case _:
            return _of_an_object(part, given)


def _of_an_object(part: Part, given: Given) -> dict[str, File]:
    source = _source(part)
    assert source is not None
    kind, name = source
    obj = given.objects.get(source)
    if obj is None and not part.reference.get("optional"):
        raise _unmountable(part, f'{kind.kind.lower()} "{name}" not found')
    data = data_of(kind, obj) if obj else {}
    items = part.reference.get("items")
    if not items:
        return {key: File(content, part.mode) for key, content in data.items()}
    chosen: dict[str, File] = {}
    for item in items:
        key, path = str(item.get("key", "")), _path(part, item)
        if key in data:
            chosen[path] = File(data[key], _number(item.get("mode"), part.mode))
        elif not part.reference.get("optional"):
            raise _unmountable(part, f"references non-existent key: {key}")
    return chosen


def _of_the_pod(part: Part, item: Mapping[str, Any], given: Given) -> File:
    mode = _number(item.get("mode"), part.mode)
    if resource := item.get("resourceFieldRef"):
        container = container_named(given.pod, str(resource.get("containerName", "")))
        return File(resource_value(container, resource, given.place).encode(), mode)
    return File(field_value(given.pod, str(dig(item, "fieldRef", "fieldPath", default="")), given.place).encode(), mode)


def _source(part: Part) -> tuple[Kind, str] | None:
    if part.kind not in _REFERENCES:
        return None
    kind, field = _REFERENCES[part.kind]
    return kind, str(part.reference.get(field) or part.reference.get("name") or "")


def _wish(reference: Mapping[str, Any]) -> Wish:
    return Wish(str(reference.get("audience") or ""), _number(reference.get("expirationSeconds"), _TOKEN_SECONDS))


def _path(part: Part, item: Mapping[str, Any]) -> str:
    path = posixpath.normpath(str(item.get("path", "")))
    if posixpath.isabs(path) or path.startswith(".."):
        raise ConfigProblem(f'volume "{part.volume}": path {item.get("path")!r} leads out of the volume')
    return path


def _unmountable(part: Part, why: str) -> ConfigProblem:
    return ConfigProblem(f'MountVolume.SetUp failed for volume "{part.volume}" : {why}')


def _number(value: Any, default: int) -> int:
    return default if value is None else int(value)
