"""The parts of an HTTP rule that say what to do: headers, retries, timeouts, rewrites, faults, CORS.

Pure. In: blocks as written. Out: nouns of `table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graylane.chain.match import Text, text_match
from graylane.mesh import durations
from graylane.mesh.inputs import Block
from graylane.mesh.numbers import natural
from graylane.mesh.table import FOREVER, ISTIO_RETRY, NO_EDITS, Cors, Fault, HeaderEdits, Retry, Rewrite

_AUTHORITY = (":authority", "host")


def header_edits(block: Block | None) -> tuple[HeaderEdits, HeaderEdits]:
    """Request and response edits of a `headers` block."""
    if not block:
        return NO_EDITS, NO_EDITS
    return _edits(block.get("request")), _edits(block.get("response"))


def _edits(block: Block | None) -> HeaderEdits:
    if not block:
        return NO_EDITS
    return HeaderEdits(
        set=_pairs(block.get("set")),
        add=_pairs(block.get("add")),
        remove=tuple(name for name in block.get("remove") or () if _plain(name)),
    )


def _pairs(values: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in (values or {}).items() if _plain(name)))


def _plain(name: str) -> bool:
    return not name.startswith(":") and name.lower() != "host"


def authority(block: Block | None) -> str:
    """The Host a `headers` block asks for; `set` beats `add`."""
    request = (block or {}).get("request") or {}
    for operation in ("set", "add"):
        for name, value in (request.get(operation) or {}).items():
            if name.lower() in _AUTHORITY:
                return str(value)
    return ""


def then(first: HeaderEdits, second: HeaderEdits) -> HeaderEdits:
    """Both edits at one level, `second` behind `first`: where both set one name, the later value stays."""
    if second == NO_EDITS:
        return first
    replaced = {name.lower() for name, _ in second.set}
    kept = tuple((name, value) for name, value in first.add if name.lower() not in replaced)
    return HeaderEdits(first.set + second.set, kept + second.add, first.remove + second.remove)


def timeout(rule: Block) -> float:
    written = rule.get("timeout")
    return FOREVER if written is None else durations.seconds(str(written)) or FOREVER


def retry(block: Block | None, *, spread: bool) -> Retry | None:
    """Istio retries twice by default, on what is safe to repeat; `attempts: 0` turns that off.

    `spread` False where consistent hashing must keep the host.
    """
    if block is None:
        return replace(ISTIO_RETRY, avoid=spread)
    attempts = natural(block.get("attempts") or 0)
    if attempts == 0:
        return None
    on, statuses = (
        _conditions(str(block.get("retryOn") or ""))
        if block.get("retryOn")
        else (
            ISTIO_RETRY.on,
            ISTIO_RETRY.statuses,
        )
    )
    per_try = block.get("perTryTimeout")
    return Retry(
        attempts=attempts,
        on=on,
        statuses=statuses,
        per_try=durations.seconds(str(per_try)) if per_try is not None else None,
        avoid=spread,
        other_localities=bool(block.get("retryRemoteLocalities")),
    )


def _conditions(text: str) -> tuple[str, tuple[int, ...]]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    statuses = tuple(natural(word) for word in words if word.isdigit())
    named = [word for word in words if not word.isdigit()]
    if statuses and "retriable-status-codes" not in named:
        named.append("retriable-status-codes")
    return ",".join(named), statuses


def rewrite(block: Block | None) -> Rewrite:
    if not block:
        return Rewrite()
    regex = block.get("uriRegexRewrite") or {}
    return Rewrite(
        prefix=str(block.get("uri") or ""),
        regex=str(regex.get("match") or ""),
        substitution=str(regex.get("rewrite") or ""),
        host=str(block.get("authority") or ""),
    )


def percent(block: Block | None, *, absent: float = 0.0) -> float:
    """A `percentage` block's value. An absent block means none at all for faults, all for mirrors."""
    return absent if block is None else float(block.get("value") or 0.0)


def fault(block: Block | None) -> Fault | None:
    if not block:
        return None
    delay, abort = block.get("delay") or {}, block.get("abort") or {}
    wait = durations.seconds(str(delay.get("fixedDelay"))) if delay.get("fixedDelay") else None
    status, grpc = abort.get("httpStatus"), abort.get("grpcStatus")
    return Fault(
        delay=(wait, percent(delay.get("percentage"), absent=float(delay.get("percent") or 0))) if wait else None,
        abort_status=(natural(status), percent(abort.get("percentage"))) if status else None,
        abort_grpc=(GRPC_STATUSES[grpc], percent(abort.get("percentage"))) if grpc in GRPC_STATUSES else None,
    )


_GRPC_NAMES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
)
GRPC_STATUSES = {name: number for number, name in enumerate(_GRPC_NAMES.split())}


def cors(block: Block | None) -> Cors | None:
    if block is None:
        return None
    age = block.get("maxAge")
    return Cors(
        origins=tuple(_origins(block)),
        methods=tuple(block.get("allowMethods") or ()),
        headers=tuple(block.get("allowHeaders") or ()),
        expose=tuple(block.get("exposeHeaders") or ()),
        max_age="" if age is None else str(int(durations.seconds(str(age)) or 0)),
        credentials=block.get("allowCredentials"),
        forward_unmatched=block.get("unmatchedPreflights") != "IGNORE",
    )


def _origins(block: Block) -> list[Text]:
    return [text for origin in block.get("allowOrigins") or () if (text := text_match(origin)) is not None]
