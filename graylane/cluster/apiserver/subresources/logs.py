"""`pods/log`: a container's output, fetched from the kubelet of the pod's node and passed on as it comes.

Shell (network, through `Nodes`). In: kubectl's options. Out: text, for as long as the kubelet sends it.
"""

from __future__ import annotations

from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Stream
from graylane.cluster.apiserver.subresources.placement import container_of, node_of, pod_of

_PASSED_ON = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")


async def get(call: Call) -> Stream:
    pod, query = pod_of(call), call.request.query
    path = f"/containerLogs/{call.key.namespace}/{call.key.name}/{container_of(call, pod)}"
    params = {name: query.text(name) for name in _PASSED_ON if query.text(name)}
    return Stream(await call.api.nodes.stream(node_of(call, pod), path, params), "text/plain")
