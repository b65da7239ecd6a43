"""`pods/exec`, `pods/attach`, `pods/portforward`: a WebSocket, handed through to the kubelet of the pod's node.

Shell (network, through `Nodes`). In: an upgrade request. Out: the connection to the node, to be joined with the
client's. What is said on it is between the two.
"""

from __future__ import annotations

from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Upgrade
from graylane.cluster.apiserver.nodes import Params
from graylane.cluster.apiserver.subresources.placement import container_of, node_of, pod_of
from graylane.errors import BadRequest, NotImplementedByServer
from graylane.model.meta import Obj

_COMMANDS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_FORWARDING = ("SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io", "")
_KUBECTL_SINCE = {"portforward": "1.31"}  # one later than exec and attach
_KUBELETS_NAMES = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))


async def execute(call: Call) -> Upgrade:
    pod = pod_of(call)
    words = call.request.query.all("command")
    if not words:
        raise BadRequest("you must specify a command")
    params = [*_wanted_streams(call), *(("command", word) for word in words)]
    return await _joined(call, pod, f"/exec/{_path(call)}/{container_of(call, pod)}", params, _COMMANDS)


async def attach(call: Call) -> Upgrade:
    pod = pod_of(call)
    path = f"/attach/{_path(call)}/{container_of(call, pod)}"
    return await _joined(call, pod, path, _wanted_streams(call), _COMMANDS)


async def port_forward(call: Call) -> Upgrade:
    ports = [("port", port) for value in call.request.query.all("ports") for port in value.split(",")]
    return await _joined(call, pod_of(call), f"/portForward/{_path(call)}", ports, _FORWARDING)


def _path(call: Call) -> str:
    return f"{call.key.namespace}/{call.key.name}"


def _wanted_streams(call: Call) -> Params:
    query = call.request.query
    wanted = [(theirs, "1") for ours, theirs in _KUBELETS_NAMES if query.flag(ours)]
    if not any(query.flag(name) for name in ("stdin", "stdout", "stderr")):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    return wanted


async def _joined(call: Call, pod: Obj, path: str, params: Params, known: tuple[str, ...]) -> Upgrade:
    node = node_of(call, pod)
    if "spdy" in call.request.headers.get("upgrade", "").lower():
        # Newer clients fall back to SPDY whatever was wrong before: let them hear of that rather than of SPDY.
        await call.api.nodes.require(node)
        sub, since = call.target.subresource, _KUBECTL_SINCE.get(str(call.target.subresource), "1.30")
        raise NotImplementedByServer(
            f"Graylane serves pods/{sub} over WebSocket and not over SPDY; use kubectl {since} or later"
        )
    protocol = _agreed(call, known)
    return Upgrade(protocol, await call.api.nodes.dial(node, path, params, protocol))


def _agreed(call: Call, known: tuple[str, ...]) -> str:
    """The protocol to speak; "" is what older clients of port-forward speak, who name none."""
    headers = call.request.headers
    if call.request.method != "GET" or headers.get("upgrade", "").lower() != "websocket":
        raise BadRequest("Upgrade request required")
    if not headers.get("sec-websocket-key") or headers.get("sec-websocket-version") != "13":
        raise BadRequest("a WebSocket of version 13 with a key is required")
    offered = [word.strip() for word in headers.get("sec-websocket-protocol", "").split(",") if word.strip()]
    for protocol in known:
        if protocol in (offered or [""]):
            return protocol
    told = ", ".join(offered) or "no subprotocol"
    raise BadRequest(f"unable to upgrade: the client speaks {told}, this server {', '.join(filter(None, known))}")
