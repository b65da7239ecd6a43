"""One line of what Envoy tells, read.

Pure. In: a line as `encode.observe` has Envoy write it, a `Directory`. Out: `SeenHop`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graylane.chain.seen import Headers, SeenHop
from graylane.mesh.encode.observe import FIELD, FIELDS, PAIR, VALUE
from graylane.mesh.explain.hop import edited
from graylane.mesh.ledger.directory import Directory
from graylane.mesh.table import HeaderEdits

_LONGEST = 256


class Unreadable(ValueError):
    """A line that is none of ours, or half of one: Envoy was killed while it wrote."""


def seen_hop(line: str, number: int, directory: Directory, named: Sequence[str]) -> SeenHop | None:
    """None for a CONNECT: what is inside the tunnel comes to the same listener, and is told of by itself.

    `named` are the headers that end the line. Raises `Unreadable`.
    """
    fields = line.split(FIELD)
    if len(fields) != len(FIELDS) + len(named):
        raise Unreadable(line)
    start, end, code, flags, details, local, client, upstream, cluster, method, id, authority, path, route, read = (
        fields[: len(FIELDS)]
    )
    if method == "CONNECT":
        return None
    at, code_number, upstream = _number(start), int(_number(code)), _pod_of(upstream)
    listener = directory.listener(local.replace(":", "_"), client.rpartition(":")[0])
    caller = directory.caller(listener)
    authority = authority[:_LONGEST]
    routed = directory.routed(listener, authority, route, cluster)
    headers = _headers(zip(named, fields[len(FIELDS) :], strict=True), read)
    return SeenHop(
        number=number,
        at=at,
        seconds=max(0.0, _number(end) - at),
        id=id[:_LONGEST],
        client=client,
        listener=listener,
        caller=caller.name,
        gateway=caller.gateway,
        method=method,
        authority=authority,
        path=path,
        virtual_host=routed.virtual_host,
        rule=routed.rule,
        route=route,
        cluster=cluster,
        upstream=upstream,
        pod=directory.pod(upstream.rpartition(":")[0]) if upstream else "",
        code=code_number,
        flags=",".join(sorted(flags.split(","))) if flags != "-" else "",
        details=details[:_LONGEST],
        headers=headers,
        passed=_passed(headers, routed.edits, inside=directory.changed_inside(upstream)),
    )


def _passed(headers: Headers, edits: tuple[HeaderEdits, ...], *, inside: bool) -> Headers:
    """What the pod received of it, as far as that is known: what is changed on its way in is not."""
    if inside:
        return ()
    return edited(headers, edits) if edits else headers


def _pod_of(upstream: str) -> str:
    """Where a listener of Envoy's own stands before a pod, the endpoint says which pod that is."""
    return upstream.rpartition("/")[2].partition("#")[0] if upstream.startswith("envoy://") else upstream


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Unreadable(text) from None


def _headers(named: Iterable[tuple[str, str]], read: str) -> Headers:
    """What was read before this hop's edits, absence included, is truer than what a line names by itself."""
    found = dict(named)
    if read:
        found.update((name, value) for name, _, value in (each.partition(VALUE) for each in read.split(PAIR)))
    return tuple(sorted((name, value) for name, value in found.items() if value))
