"""Starts Envoy, or takes over the one that an earlier run has left, and starts it again whenever it ends.

Shell. In: `EnvoyConfig`, a client. Out: a running Envoy, its logs, its pod's status. The first end costs no wait; an
Envoy that keeps ending within a minute waits longer each time, up to ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from graylane.client import ApiClient
from graylane.cluster.envoy.amendments import Offer
from graylane.cluster.envoy.binary import find_envoy
from graylane.cluster.envoy.config import BootstrapFile, EnvoyConfig
from graylane.cluster.envoy.gateway import CONTAINER, NAMESPACE, Process, restarts_of
from graylane.cluster.envoy.lastwords import LastWords
from graylane.cluster.envoy.presence import Presence
from graylane.cluster.envoy.running import Start, holder_of, start_of, unfit
from graylane.cluster.processes import holding
from graylane.cluster.processes.child import Launch
from graylane.cluster.processes.holding import Keeping
from graylane.cluster.processes.logfiles import forget_older, instance_file, pod_directory
from graylane.cluster.processes.logreading import last_words
from graylane.cluster.processes.table import ProcessTable
from graylane.errors import GraylaneError
from graylane.kit import Clock, SystemClock
from graylane.model.meta import Obj, uid_of

_LOG = logging.getLogger(__name__)
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0
_STEADY_AFTER = 60.0
_STOP_WITHIN = 2.0
_KILLED = 137  # by somebody, so no fault of its own
_LOOK_EVERY = 0.01
_LAST_LINES, _LAST_BYTES = 400, 1 << 16


class EnvoySupervisor:
    """`start()` returns once Envoy was started; `wait_ready()` once it serves what its control plane gave it."""

    def __init__(
        self, config: EnvoyConfig, client: ApiClient, clock: Clock | None = None, offer: Offer | None = None
    ) -> None:
        """`offer` is what others want in the bootstrap."""
        self.config = config
        self._bootstrap = BootstrapFile(config, offer)
        self._clock = clock or SystemClock()
        self._presence = Presence(client, self._clock, config.gateway, self._link_logs)
        self._processes = ProcessTable(holder_of(config.data_dir))
        self._admin = self._bootstrap.admin
        self._logs = config.data_dir / "envoy" / "logs"
        self._state = Process()
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._envoy: holding.Process | None = None
        self.taken_over = False

    @property
    def ready(self) -> bool:
        """Whether Envoy is live: it has what its control plane gave it, and listens."""
        return self._ready.is_set()

    @property
    def admin(self) -> Path:
        """The admin interface's Unix socket, e.g. for `curl --unix-socket`."""
        return self._admin

    async def start(self) -> None:
        """Raises `UserError` when there is no Envoy to start, `ApiError` when its objects cannot be created."""
        launch = await self._bootstrap.prepare(find_envoy())
        left, swept = self._processes.open()
        for record in swept:
            _LOG.info("killed an Envoy left behind by an earlier run: group=%s", record.group)
        pod = await self._presence.establish()
        self._state = Process(restarts=restarts_of(pod))
        await self._take_over(left, launch)
        if self._envoy is None:
            self._start_once(launch)
        self._tasks = [
            asyncio.create_task(self._supervise()),
            asyncio.create_task(self._presence.keep()),
        ]

    async def _take_over(self, left: list[holding.Process], launch: Launch) -> None:
        """The one that goes on, if it is as we would start it; how the last one ended, if it has."""
        for process in left:
            old = start_of(process.notes)
            if process.exited.done():
                code, at = process.exited.result().code, datetime.fromtimestamp(process.ended_at, UTC)
                run = self._state.restarts if old is None else old.run
                self._state = replace(self._state, restarts=run, last_exit=code, ended_at=at)
                self._state = replace(self._state, last_words=self._last_words())
            elif why := unfit(old, self._as_now(launch)):
                _LOG.info("Envoy of an earlier run is replaced: because=%s", why)
                await process.stop(_STOP_WITHIN)
            elif old is not None:
                began, ready = datetime.fromisoformat(old.started), await is_live(self._admin)
                self._state = replace(self._state, restarts=old.run, started_at=began, ready=ready)
                self._envoy, self.taken_over = process, True
                continue
            process.forget()

    def _as_now(self, launch: Launch) -> Start:
        """What a start at this moment would be."""
        config = self.config
        return Start(
            run=self._state.restarts,
            started=self._clock.now().isoformat(),
            image=config.gateway.image,
            argv=launch.argv,
            bootstrap=self._bootstrap.digest,
            xds_port=config.xds_port,
            node_ip=config.node_ip,
            gateway_port=config.gateway_node_port,
        )

    async def wait_ready(self, timeout_seconds: float = 30.0) -> None:
        """Raises `GraylaneError` with the log's place when Envoy does not get ready in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._ready.wait()
        except TimeoutError:
            raise GraylaneError(f"Envoy is not ready after {timeout_seconds:g} s; its log is in {self._logs}") from None

    async def stop(self) -> None:
        """Stop Envoy; its objects stay, said to be not ready."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._envoy is not None:
            self._ready.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._presence.show(replace(self._state, ready=False))
            await self._envoy.stop(_STOP_WITHIN)
        self._processes.close()

    # -- one Envoy after the other

    async def _supervise(self) -> None:
        wait = 0.0
        while True:
            assert self._envoy is not None
            started = asyncio.get_running_loop().time()
            await self._follow(self._envoy)
            steady = asyncio.get_running_loop().time() - started > _STEADY_AFTER
            if self._state.last_exit != _KILLED:
                self._bootstrap.ended(steady=steady)
            if steady:
                wait = 0.0
            if wait:
                text = f"back-off {wait:g}s restarting Envoy, which keeps ending; see its log"
                await self._show(replace(self._state, waits=text))
                await asyncio.sleep(wait)
            wait = min(max(wait * 2, _FIRST_WAIT), _LONGEST_WAIT)
            try:
                launch = await self._bootstrap.prepare(find_envoy())
                self._start_once(launch)
            except (OSError, GraylaneError) as error:
                _LOG.error("Envoy cannot be started, trying again: error=%s", error)

    def _start_once(self, launch: Launch) -> None:
        self._admin.unlink(missing_ok=True)
        self._state = replace(self._state, restarts=self._state.restarts + 1, started_at=self._clock.now(), waits="")
        forget_older(self._logs, CONTAINER, self._state.restarts)
        keeping = Keeping(
            id=f"envoy/{self._state.restarts}",
            log=instance_file(self._logs, CONTAINER, self._state.restarts),
            notes=self._as_now(launch).notes(),
            preface=f"starting {self.config.gateway.image}: {' '.join(launch.argv)}\n",
        )
        ended, self._envoy = self._envoy, self._processes.hold(launch, self.config.node_id, keeping)
        if ended is not None:
            ended.forget()
        _raise_file_limit(self._envoy.pid)

    async def _follow(self, envoy: holding.Process) -> None:
        """From its start to its end: say when it is ready, and that it is not any more."""
        becoming = asyncio.create_task(self._become_ready())
        try:
            exit = await asyncio.shield(envoy.exited)
        finally:
            becoming.cancel()
            self._ready.clear()
        _LOG.warning("Envoy ended and is started again: exit_code=%s log=%s", exit.code, self._logs)
        now = self._clock.now()
        ended = replace(self._state, started_at=None, ready=False, last_exit=exit.code, ended_at=now)
        await self._show(replace(ended, last_words=self._last_words()))

    async def _become_ready(self) -> None:
        await self._presence.show(self._state)
        while not await is_live(self._admin):  # noqa: ASYNC110 - Envoy tells nobody when it is ready
            await asyncio.sleep(_LOOK_EVERY)
        self._ready.set()
        self._bootstrap.worked()
        await self._show(replace(self._state, ready=True))

    async def _show(self, state: Process) -> None:
        self._state = state
        await self._presence.show(state)

    # -- files

    def _last_words(self) -> str:
        words, log = LastWords(), instance_file(self._logs, CONTAINER, self._state.restarts)
        with contextlib.suppress(OSError):
            words.feed(last_words(log, _LAST_LINES, _LAST_BYTES).encode() + b"\n")
        return words.text

    def _link_logs(self, pod: Obj) -> None:
        """Show the logs where the pod's are looked for; they outlive the pod object, as the process does."""
        self._logs.mkdir(parents=True, exist_ok=True)
        pods = self.config.data_dir / "pods"
        pods.mkdir(parents=True, exist_ok=True)
        for stale in pods.glob(f"{NAMESPACE}_{self.config.gateway.pod_name}_*"):
            stale.unlink(missing_ok=True)
        pod_directory(pods, NAMESPACE, self.config.gateway.pod_name, uid_of(pod)).symlink_to(self._logs.absolute())


async def is_live(admin: Path) -> bool:
    """Whether Envoy's `/ready` says LIVE."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_unix_connection(str(admin))
            try:
                writer.write(b"GET /ready HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


def _raise_file_limit(pid: int) -> None:
    """Every pod costs Envoy sockets in each worker; its soft limit is often 1024 by default."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
