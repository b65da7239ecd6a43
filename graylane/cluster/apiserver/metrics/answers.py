"""`get` and `list` of PodMetrics and NodeMetrics: made of what a `Meter` measures, never stored.

Shell (store, meter). In: a call. Out: objects as metrics-server makes them, for pods and nodes that the caller selects
by the labels of these; one that nobody has measured yet is not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import timedelta

from graylane.cluster.apiserver import render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Answer
from graylane.cluster.apiserver.metrics.meter import Measured
from graylane.cluster.apiserver.metrics.samples import Usage
from graylane.cluster.apiserver.selection import Selection, view_of
from graylane.cluster.apiserver.store import Entry
from graylane.errors import NotFound
from graylane.model.meta import Obj, dig, format_time, key_of, name_of

_KIBIBYTE = 1024


async def get(call: Call) -> Answer:
    source = call.api.store.get(call.resource.plural, call.key)
    found = await _measured(call, [source] if source is not None else [])
    if not found:
        raise _unknown(call)
    view = view_of(call)
    return render.reply(render.one(found[0], view), view.wanted)


async def list_(call: Call) -> Answer:
    selection = Selection.of(call)
    sources = call.api.store.entries(call.resource.plural, selection.namespace)
    found = await _measured(call, [entry for entry in sources if selection.includes(entry)])
    view = view_of(call)
    return render.reply(render.many(found, view, render.Page(call.api.store.revision)), view.wanted)


HANDLERS: dict[str, Callable[[Call], Awaitable[Answer]]] = {"get": get, "list": list_}


async def _measured(call: Call, sources: Iterable[Entry]) -> list[Entry]:
    """What is told of each pod or node, beside its own name and labels."""
    found = [(entry, entry.obj) for entry in sources]
    of_pods = call.resource.namespaced
    names = {dig(obj, "spec", "nodeName") if of_pods else name_of(obj) for _, obj in found}
    nodes = [entry.obj for entry in call.api.store.entries("nodes") if entry.key.name in names]
    measured = await call.api.meter.measure(nodes)
    tell = _pod if of_pods else _node
    return [Entry.of(entry.key, _whole(call, obj, told)) for entry, obj in found for told in tell(obj, measured)]


def _whole(call: Call, source: Obj, told: Obj) -> Obj:
    kept = {name: source["metadata"][name] for name in ("name", "namespace", "labels") if name in source["metadata"]}
    head = {"apiVersion": call.resource.api_version, "kind": call.resource.kind}
    return head | {"metadata": {**kept, "creationTimestamp": format_time(call.api.clock())}} | told


def _pod(pod: Obj, measured: Mapping[str, Measured]) -> Iterator[Obj]:
    node = measured.get(dig(pod, "spec", "nodeName", default=""))
    if node is None or dig(pod, "status", "phase") in ("Succeeded", "Failed"):
        return
    usages = node.pod(key_of(pod))
    if usages:
        first = min(usages.values(), key=lambda usage: usage.at)
        yield _when(first) | {"containers": [{"name": name, "usage": _usage(each)} for name, each in usages.items()]}


def _node(node: Obj, measured: Mapping[str, Measured]) -> Iterator[Obj]:
    found = measured.get(name_of(node))
    if found is not None and (usage := found.node()) is not None:
        yield _when(usage) | {"usage": _usage(usage)}


def _when(usage: Usage) -> Obj:
    return {"timestamp": format_time(usage.at), "window": go_duration(usage.window)}


def _usage(usage: Usage) -> Obj:
    return {"cpu": f"{usage.nanocores}n" if usage.nanocores else "0", "memory": f"{usage.memory_bytes // _KIBIBYTE}Ki"}


def go_duration(span: timedelta) -> str:
    """`15.023s`, `1m0s`: as Go writes a duration, to the millisecond."""
    minutes, milliseconds = divmod(round(span.total_seconds() * 1000), 60_000)
    seconds = f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _unknown(call: Call) -> NotFound:
    """Named as metrics-server does, by the kind and the whole key."""
    store, name = f"{call.resource.kind.lower()}.{call.resource.group}", str(call.key)
    details = {"name": name, "group": call.resource.group, "kind": call.resource.kind.lower()}
    return NotFound(f'{store} "{name}" not found', details=details)
