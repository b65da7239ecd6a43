"""What one Envoy was sent and what it has acknowledged, in the words of istiod's `/debug/syncz`.

Pure. In: responses sent and requests received, as they pass. Out: the JSON object that istiod gives for a proxy. One
Envoy carries all proxies here, so all of them say the same of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from graylane.mesh.inputs import Proxy, ProxyKind
from graylane.mesh.snapshot import Type
from graylane.model.meta import format_time

_FIELDS = {Type.CLUSTER: "cluster", Type.LISTENER: "listener", Type.ROUTES: "route", Type.ENDPOINTS: "endpoint"}
_TYPES = {ProxyKind.ROUTER: "router", ProxyKind.SIDECAR: "sidecar"}
CLUSTER_ID, VERSION = "Kubernetes", "1.23.2-graylane"


@dataclass(slots=True)
class _Word:
    sent: str = ""
    acked: str = ""
    sent_at: datetime | None = None
    error: str = ""


@dataclass(slots=True)
class SyncLog:
    """The last word of both sides, for each type."""

    words: dict[Type, _Word] = field(default_factory=dict)

    def sent(self, type: Type, nonce: str, now: datetime) -> None:
        word = self.words.setdefault(type, _Word())
        word.sent, word.sent_at = nonce, now

    def answered(self, type: Type, nonce: str, error: str | None) -> None:
        """`error` is why it was refused; a refused response counts as not acknowledged until a later one is."""
        word = self.words.setdefault(type, _Word())
        if nonce and error is None:
            word.acked, word.error = nonce, ""
        elif error is not None:
            word.error = error


def document(logs: Iterable[SyncLog], proxies: Iterable[Proxy], namespace: str = "") -> list[dict[str, Any]]:
    """All proxies, or those of one namespace, once for each Envoy that carries them."""
    shown = [proxy for proxy in proxies if namespace in ("", proxy.namespace)]
    return [_proxy(log, proxy) for log in logs for proxy in shown]


def _proxy(log: SyncLog, proxy: Proxy) -> dict[str, Any]:
    found: dict[str, Any] = {
        "proxy": f"{proxy.name}.{proxy.namespace}",
        "proxy_type": _TYPES[proxy.kind],
        "cluster_id": CLUSTER_ID,
        "istio_version": VERSION,
    }
    resources: dict[str, Any] = {}
    for type, name in _FIELDS.items():
        word = log.words.get(type)
        if word is None:
            continue
        found |= {f"{name}_sent": word.sent, f"{name}_acked": word.acked}
        entry = {"sent": word.sent, "acked": word.acked, "lastError": word.error}
        resources[type.value] = {key: value for key, value in entry.items() if value}
        if word.sent_at is not None:
            resources[type.value]["sentTime"] = format_time(word.sent_at)
    return found | {"resources": resources}
