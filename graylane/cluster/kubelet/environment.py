"""A container's environment and command line, resolved as Kubernetes resolves them.

Pure. In: the pod, one of its containers, the ConfigMaps and Secrets it names. Out: a plain dict and an argument list,
or `ConfigProblem` in kubelet's words. Later entries win; `$(NAME)` stands for what was defined before, `$$` for a
dollar.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graylane.cluster.kubelet.downward import ConfigProblem, Place, container_named, field_value, resource_value
from graylane.model.kinds import CONFIG_MAP, SECRET, Kind
from graylane.model.meta import Obj, namespace_of

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*\Z")

Source = tuple[Kind, str]


def sources_of(container: Mapping[str, Any]) -> set[Source]:
    """The ConfigMaps and Secrets whose contents `environment` needs."""
    found: set[Source] = set()
    for entry in container.get("env") or []:
        source = entry.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", CONFIG_MAP), ("secretKeyRef", SECRET)):
            if field in source:
                found.add((kind, str(source[field].get("name", ""))))
    for entry in container.get("envFrom") or []:
        for field, kind in (("configMapRef", CONFIG_MAP), ("secretRef", SECRET)):
            if field in entry:
                found.add((kind, str(entry[field].get("name", ""))))
    return found


def environment(
    pod: Obj, container: Mapping[str, Any], place: Place, objects: Mapping[Source, Obj], base: Mapping[str, str]
) -> dict[str, str]:
    """`base`, then envFrom, then env. `objects` holds what exists of `sources_of(container)`."""
    env = dict(base)
    for entry in container.get("envFrom") or []:
        env.update(_everything(pod, entry, objects))
    for entry in container.get("env") or []:
        if amount := (entry.get("valueFrom") or {}).get("resourceFieldRef"):
            value: str | None = _amount(pod, container, amount, place)
        else:
            value = _value(pod, entry, place, objects, env)
        if value is not None:
            env[str(entry["name"])] = value
    return env


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; an unknown name is left as it stands, `$$(NAME)` becomes `$(NAME)`."""

    def replace(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return env.get(found[2], found[0])

    return _REFERENCE.sub(replace, text)


def expand_all(words: Iterable[str], env: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(expand(str(word), env) for word in words)


def data_of(kind: Kind, obj: Obj) -> dict[str, bytes]:
    """All keys of a ConfigMap or Secret with their bytes."""
    plain = {key: str(value).encode() for key, value in (obj.get("data") or {}).items()}
    if kind is SECRET:
        decoded = {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
        return decoded | {key: str(value).encode() for key, value in (obj.get("stringData") or {}).items()}
    return plain | {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}


def _everything(pod: Obj, entry: Mapping[str, Any], objects: Mapping[Source, Obj]) -> Iterator[tuple[str, str]]:
    for field, kind in (("configMapRef", CONFIG_MAP), ("secretRef", SECRET)):
        if field not in entry:
            continue
        obj = _object(kind, entry[field], objects)
        for key, value in sorted(data_of(kind, obj).items()) if obj else []:
            name = f"{entry.get('prefix') or ''}{key}"
            if _ENV_NAME.match(name):  # others are left out, as in Kubernetes
                yield name, value.decode(errors="surrogateescape")


def _value(
    pod: Obj, entry: Mapping[str, Any], place: Place, objects: Mapping[Source, Obj], env: Mapping[str, str]
) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return expand(str(entry.get("value") or ""), env)
    if "fieldRef" in source:
        return field_value(pod, str(source["fieldRef"].get("fieldPath", "")), place)
    for field, kind in (("configMapKeyRef", CONFIG_MAP), ("secretKeyRef", SECRET)):
        if field in source:
            return _key(pod, kind, source[field], objects)
    raise ConfigProblem(f"env {entry.get('name')}: valueFrom.{next(iter(source))} is not supported")


def _amount(pod: Obj, container: Mapping[str, Any], reference: Mapping[str, Any], place: Place) -> str:
    """Of the container itself, unless another one is named."""
    name = reference.get("containerName")
    return resource_value(container_named(pod, name) if name else container, reference, place)


def _key(pod: Obj, kind: Kind, reference: Mapping[str, Any], objects: Mapping[Source, Obj]) -> str | None:
    obj = _object(kind, reference, objects)
    key = str(reference.get("key", ""))
    if obj is None:
        return None
    data = data_of(kind, obj)
    if key in data:
        return data[key].decode(errors="surrogateescape")
    if reference.get("optional"):
        return None
    raise ConfigProblem(f"couldn't find key {key} in {kind.kind} {namespace_of(pod)}/{reference.get('name')}")


def _object(kind: Kind, reference: Mapping[str, Any], objects: Mapping[Source, Obj]) -> Obj | None:
    name = str(reference.get("name", ""))
    obj = objects.get((kind, name))
    if obj is None and not reference.get("optional"):
        raise ConfigProblem(f'{kind.kind.lower()} "{name}" not found')
    return obj
