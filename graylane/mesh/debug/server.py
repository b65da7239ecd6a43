"""Answers questions about the mesh over HTTP on loopback.

Shell. In: GET requests. Out: JSON. `/debug/syncz` is istiod's; the ledger is ours:

    /debug/syncz[?namespace=NS]                       what each proxy was sent and has acknowledged
    /debug/ledger[?seconds=S]                         counts of requests, and who passes headers on
    /debug/ledger/requests?client=IP:PORT,…|id=ID,…   requests one by one, with the calls made for them
                          [&after=N][&wait=S]         … once something newer than N is known

Every answer of the ledger has `taken`, the N for the next question. A mesh that keeps none answers `{"ledger": "off"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
from aiohttp import web

from graylane.chain.seen import NO_LEDGER, linked_to_json, view_to_json
from graylane.mesh.compile.plan import Plan
from graylane.mesh.debug.istiod import PORT
from graylane.mesh.ledger.book import Ledger, of_client
from graylane.mesh.ledger.directory import Directory
from graylane.mesh.ledger.entry import Note, Reader
from graylane.mesh.xds import syncz
from graylane.mesh.xds.syncz import SyncLog

_LONGEST_WAIT = 20.0


class DebugServer:
    """`take` is for the lines of Envoy's log, which end with the headers `named`; `learn` for the plan that is live."""

    def __init__(
        self, logs: Callable[[], Iterable[SyncLog]], named: Sequence[str] = (), *, keeps_ledger: bool = True
    ) -> None:
        self.ledger = Ledger()
        self._keeps_ledger = keeps_ledger
        self.port = 0
        self._logs = logs
        self._directory = Directory()
        self._reader = Reader(self._directory, named)
        self._plan: Plan | None = None
        self._news = asyncio.Event()
        self._runner: web.AppRunner | None = None

    def learn(self, plan: Plan) -> None:
        self._plan = plan
        self._directory.learn(plan)
        self._reader.forget()

    def take(self, lines: Iterable[str]) -> None:
        self.ledger.take(self._reader.read(lines), time.time())
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def start(self, host: str) -> None:
        """At istiod's port, or at any other where that one is taken."""
        app = web.Application()
        app.router.add_get("/debug/syncz", self._syncz)
        app.router.add_get("/debug/ledger", self._view if self._keeps_ledger else _no_ledger)
        app.router.add_get("/debug/ledger/requests", self._requests if self._keeps_ledger else _no_ledger)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, PORT).start()
        except OSError:
            await web.TCPSite(self._runner, host, 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            self._news.set()
            await self._runner.cleanup()
            self._runner = None

    async def _syncz(self, request: web.Request) -> web.Response:
        proxies = self._plan.inputs.proxies if self._plan else ()
        return _json(syncz.document(self._logs(), proxies, request.query.get("namespace", "")))

    async def _view(self, request: web.Request) -> web.Response:
        seconds = _number(request, "seconds", 60.0)
        view = self.ledger.view(seconds, self._directory.lanes, time.time())
        return _json({"taken": self.ledger.taken, "lanes": sorted(self._directory.lanes), **view_to_json(view)})

    async def _requests(self, request: web.Request) -> web.Response:
        await self._newer(int(_number(request, "after", -1)), _number(request, "wait", 0.0))
        found = self.ledger.requests(_wanted(request), time.time())
        return _json({"taken": self.ledger.taken, "requests": linked_to_json(found)})

    async def _newer(self, after: int, wait: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(wait, _LONGEST_WAIT)):
                while self.ledger.taken <= after:
                    await self._news.wait()


async def _no_ledger(_: web.Request) -> web.Response:
    return _json(NO_LEDGER)


def _wanted(request: web.Request) -> Callable[[Note], bool]:
    ids = frozenset(filter(None, request.query.get("id", "").split(",")))
    if ids:
        return lambda note: note.id in ids
    return of_client(request.query.get("client", "").split(","))


def _number(request: web.Request, name: str, default: float) -> float:
    try:
        return float(request.query.get(name, default))
    except ValueError:
        message = f"query parameter {name}: {request.query[name]!r} is no number"
        raise web.HTTPBadRequest(text=message) from None


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
