"""Where a listener is reached from outside: the Services in front of the gateway's pods, and one for ports they lack.

Pure. In: a `View`, a Gateway, its listeners. Out: a Service, as Istio makes one for each Gateway, and addresses. Its
node ports are the API server's choice; ports that need no privilege stand behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from graylane.kit.cache import View
from graylane.mesh.gatewayapi.listeners import Listener
from graylane.mesh.read import TRANSLATED
from graylane.model.hashing import short_hash
from graylane.model.kinds import POD, SERVICE
from graylane.model.meta import Key, Obj, dig, key_of, labels_of, name_of, namespace_of
from graylane.model.selectors import LabelSelector

INGRESS = {"istio": "ingressgateway"}
_NAME = re.compile(r"[a-z][-a-z0-9]{,62}")
_PRIVILEGED, _ABOVE = 1024, 10000


def selector_of(view: View, gateway: Obj) -> dict[str, str]:
    """The pods that open its ports: those behind a Service that its addresses name, else the ingress gateway's."""
    for host in _hostnames(gateway):
        name, _, rest = host.partition(".")
        service = view.get(SERVICE, rest.partition(".")[0] or namespace_of(gateway), name)
        return dict(dig(service, "spec", "selector", default={})) or {"graylane.dev/no-such-service": name}
    return INGRESS


def service(view: View, gateway: Obj, opened: Iterable[Listener]) -> tuple[Key, dict[str, Any]] | None:
    """None where the Services in front have all its ports, or its addresses name the Service that is meant."""
    if _hostnames(gateway):
        return None
    namespace = min((namespace_of(pod) for pod in _pods(view, gateway)), default="")
    asked = {each.port: each.protocol for each in opened if each.opens}
    known = {
        port["port"] for each in _in_front(view, gateway) if TRANSLATED not in labels_of(each) for port in _of(each)
    }
    ports = [_port(number, asked[number]) for number in sorted(asked) if number not in known]
    if not namespace or not ports:
        return None
    return Key(namespace, _name(gateway)), {"type": "NodePort", "selector": INGRESS, "ports": ports}


def doors(view: View, gateway: Obj, listener: Listener) -> tuple[str, ...]:
    """`address:port` of every node port that leads to a listener."""
    numbers = [
        int(port["nodePort"])
        for each in _in_front(view, gateway)
        for port in _of(each)
        if port["port"] == listener.port and port.get("nodePort")
    ]
    return tuple(f"{address}:{number}" for address in addresses(view, gateway) for number in sorted(numbers))


def addresses(view: View, gateway: Obj) -> list[str]:
    return sorted({str(dig(pod, "status", "hostIP", default="")) for pod in _pods(view, gateway)} - {""})


def elsewhere(view: View, gateway: Obj) -> list[str]:
    """Addresses that the Gateway asks for and that are none of ours; a Service's name is one of ours."""
    asked = dig(gateway, "spec", "addresses", default=[])
    values = [str(each.get("value") or "") for each in asked if each.get("type", "IPAddress") == "IPAddress"]
    return sorted(set(values) - {"", *addresses(view, gateway)})


def _hostnames(gateway: Obj) -> list[str]:
    asked = dig(gateway, "spec", "addresses", default=[])
    return [str(each.get("value")) for each in asked if each.get("type") == "Hostname"]


def _pods(view: View, gateway: Obj) -> list[Obj]:
    return list(view.list(POD, None, LabelSelector.of_map(selector_of(view, gateway))))


def _in_front(view: View, gateway: Obj) -> Iterator[Obj]:
    for pod in _pods(view, gateway):
        for each in view.list(SERVICE, namespace_of(pod)):
            selector = dig(each, "spec", "selector", default={})
            if selector and LabelSelector.of_map(selector).matches(labels_of(pod)):
                yield each


def _of(service: Obj) -> list[Obj]:
    return dig(service, "spec", "ports", default=[])  # type: ignore[no-any-return]


def _port(number: int, protocol: str) -> dict[str, Any]:
    target = number if number >= _PRIVILEGED else number + _ABOVE
    return {"name": f"{protocol.lower()}-{number}", "port": number, "targetPort": target, "protocol": "TCP"}


def _name(gateway: Obj) -> str:
    """As Istio calls it, with the namespace besides, since all stand beside the one gateway."""
    name = f"{name_of(gateway)}-{namespace_of(gateway)}-istio"
    return name if _NAME.fullmatch(name) else f"gateway-{short_hash([str(key_of(gateway))])}"
