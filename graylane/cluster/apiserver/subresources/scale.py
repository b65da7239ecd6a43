"""`…/scale`: the replica count of any kind that has one, as an autoscaling/v1 Scale.

Shell (store, through the pipeline). In: GET, PUT, PATCH. Out: a Scale; writes change the object's spec only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from graylane.cluster.apiserver import bodies, failures, media, pipeline, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.options import WriteOptions
from graylane.cluster.apiserver.patch.apply import server_side
from graylane.cluster.apiserver.render import View
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema.fielderror import as_api_error, invalid
from graylane.cluster.apiserver.selection import view_of
from graylane.cluster.apiserver.store import Entry
from graylane.cluster.apiserver.verbs.patch import read_patch
from graylane.model.meta import Obj, dig
from graylane.model.patches import PatchType
from graylane.model.selectors import LabelSelector

SCALE = Resource("autoscaling", "v1", "Scale", "scales")
_COMPONENT = "io.k8s.api.autoscaling.v1.Scale"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a kind keeps its counts; a custom kind says so in its `subresources.scale`."""

    wish: tuple[str, ...] = ("spec", "replicas")
    fact: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")

    @staticmethod
    def of(call: Call) -> Paths:
        custom = call.api.registry.custom(call.resource)
        if custom is None or custom.scale is None:
            return Paths()
        names = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
        return Paths(*(_steps(custom.scale.get(name) or "") for name in names))


def _steps(json_path: str) -> tuple[str, ...]:
    """`.spec.replicas` → ("spec", "replicas")."""
    return tuple(filter(None, json_path.split(".")))


async def get(call: Call) -> Reply:
    entry = call.api.store.get(call.resource.store, call.key)
    if entry is None:
        raise failures.not_found(call.resource, call.target.name)
    return await _reply(call, entry)


async def update(call: Call) -> Reply:
    call = replace(call, options=WriteOptions.of(call.request.query, "UpdateOptions"))
    loaded = bodies.load(call.request.body, call.request.headers.get("content-type", ""))
    wanted = bodies.expect_kind(loaded, SCALE.api_version, SCALE.kind, lenient=True)
    return await _write(call, lambda _: wanted)


async def patch(call: Call) -> Reply:
    if media.content_type(call.request.headers.get("content-type", "")) == PatchType.APPLY:
        return await _apply(call)
    call = replace(call, options=WriteOptions.of(call.request.query, "PatchOptions"))
    return await _write(call, read_patch(call))


async def _apply(call: Call) -> Reply:
    """Server-side apply of a Scale: its replicas, as a field of the object that they belong to."""
    call = replace(call, options=WriteOptions.of_apply(call.request.query))
    loaded = bodies.mapping(bodies.load_yaml(call.request.body))
    wanted = bodies.decoded(bodies.expect_kind(loaded, SCALE.api_version, SCALE.kind, lenient=False), _COMPONENT)
    paths = Paths.of(call)
    named = {"name": call.target.name, "namespace": call.key.namespace}
    config: Obj = {"apiVersion": call.resource.api_version, "kind": call.resource.kind, "metadata": named}
    if (replicas := dig(wanted, "spec", "replicas")) is not None:
        config = _placed(config, paths.wish, replicas)

    def applied(live: Obj) -> Obj:
        options = call.options
        return server_side(
            live, config, options.field_manager, options.force, call.structural, call.api.clock(), subresource="scale"
        )

    return await _reply(call, await pipeline.update(call, call.key, applied))


async def _write(call: Call, change: Callable[[Obj], Obj]) -> Reply:
    paths = Paths.of(call)
    entry = await pipeline.update(call, call.key, lambda old: _applied(call, paths, change(_scale(old, paths)), old))
    return await _reply(call, entry)


def shown(call: Call, obj: Obj) -> Obj:
    """The Scale of an object, as admission sees it."""
    return _scale(obj, Paths.of(call))


def applied(call: Call, obj: Obj, scale: Obj) -> Obj:
    """The object with the replicas of a Scale that admission has changed."""
    return _applied(call, Paths.of(call), scale, obj)


def _applied(call: Call, paths: Paths, scale: Obj, old: Obj) -> Obj:
    """`old` with the scale's replicas, carrying the scale's resourceVersion so that a stale PUT is a conflict."""
    replicas = dig(bodies.decoded(scale, _COMPONENT), "spec", "replicas", default=0)
    if replicas < 0:
        errors = [invalid("spec.replicas", replicas, "must be greater than or equal to 0")]
        raise as_api_error("autoscaling", "v1", "Scale", call.target.name, errors)
    version = dig(scale, "metadata", "resourceVersion") or old["metadata"]["resourceVersion"]
    placed = _placed(old, paths.wish, replicas)
    return {**placed, "metadata": {**old["metadata"], "resourceVersion": version}}


def _placed(obj: Any, path: tuple[str, ...], value: int) -> Any:
    if not path:
        return value
    here = obj if isinstance(obj, dict) else {}
    return {**here, path[0]: _placed(here.get(path[0]), path[1:], value)}


def _scale(obj: Obj, paths: Paths) -> Obj:
    selector = dig(obj, *paths.selector) if paths.selector else None
    text = selector if isinstance(selector, str) else _selector_text(selector)
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "apiVersion": SCALE.api_version,
        "kind": SCALE.kind,
        "metadata": {name: obj["metadata"][name] for name in kept if name in obj["metadata"]},
        "spec": {"replicas": dig(obj, *paths.wish, default=0)},
        "status": {"replicas": dig(obj, *paths.fact, default=0)} | ({"selector": text} if text else {}),
    }


def _selector_text(selector: Any) -> str:
    """ReplicationControllers write a bare map, the others a LabelSelector."""
    if not isinstance(selector, dict):
        return ""
    is_object = "matchLabels" in selector or "matchExpressions" in selector
    return str(LabelSelector.of(selector) if is_object else LabelSelector.of_map(selector))


async def _reply(call: Call, entry: Entry) -> Reply:
    scale = _scale(await call.shown(entry), Paths.of(call))
    view: View = replace(view_of(call), resource=SCALE, columns=None)
    return render.reply(render.one(Entry.of(entry.key, scale), view), view.wanted)
