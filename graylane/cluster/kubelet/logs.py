"""Container logs, for the API server's `pods/log`.

Shell. In: `GET /containerLogs/<namespace>/<pod>/<container>?follow=true…`. Out: log text, streamed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from graylane.cluster.kubelet.adoption import container_specs
from graylane.cluster.processes.logfiles import instances
from graylane.cluster.processes.logreading import LogOptions, read_log
from graylane.errors import BadRequest, NotFound
from graylane.kit import Clock
from graylane.model.meta import Obj


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where logs are: `pod(namespace, name)`, the directory of its logs, and whether a container still writes."""

    pod: Callable[[str, str], Obj | None]
    directory: Callable[[Obj], Path]
    running: Callable[[Obj, str], bool]


class Logs:
    """Serves one node's logs."""

    def __init__(self, source: LogSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._stopping = False

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/containerLogs/{namespace}/{pod}/{container}", self._logs)]

    def stop(self) -> None:
        """Let those who follow go."""
        self._stopping = True

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        options = LogOptions.of(request.query, self._clock.now())
        pod, path = self._locate(request, previous=options.previous)
        container = request.match_info["container"]
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)

        def running() -> bool:
            return not options.previous and not self._stopping and self._source.running(pod, container)

        with contextlib.suppress(ConnectionError):  # the reader went away: that is how `logs -f` ends
            async for chunk in read_log(path, options, running):
                await response.write(chunk)
            await response.write_eof()
        return response

    def _locate(self, request: web.Request, *, previous: bool) -> tuple[Obj, Path]:
        """The pod and the wanted file, or why there is none, in kubelet's words."""
        namespace, name, container = (request.match_info[part] for part in ("namespace", "pod", "container"))
        pod = self._source.pod(namespace, name)
        if pod is None:
            raise NotFound(f'pod "{name}" not found in namespace "{namespace}" on this node')
        if container not in container_specs(pod):
            raise BadRequest(f"container {container} is not valid for pod {name}")
        found = instances(self._source.directory(pod), container)
        if previous:
            if len(found) < 2:
                raise BadRequest(f'previous terminated container "{container}" in pod "{name}" not found')
            return pod, found[-2]
        if not found and _runs(pod, container):
            raise NotFound(f'container "{container}" in pod "{name}" writes no log of its own: it is part of graylane')
        if not found:
            raise BadRequest(f'container "{container}" in pod "{name}" is waiting to start: {_waiting(pod, container)}')
        return pod, found[-1]


def _runs(pod: Obj, container: str) -> bool:
    """Of a container without a log: it is none of this kubelet's, but of a pod that mirrors a process."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any(each.get("name") == container and (each.get("state") or {}).get("running") for each in statuses)


def _waiting(pod: Obj, container: str) -> str:
    for field in ("containerStatuses", "initContainerStatuses"):
        for status in (pod.get("status") or {}).get(field) or []:
            if status.get("name") == container and (waiting := (status.get("state") or {}).get("waiting")):
                text = waiting.get("message") if waiting.get("reason") != "ContainerCreating" else ""
                return str(text or waiting.get("reason"))
    return "ContainerCreating"
