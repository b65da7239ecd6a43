"""One container of one pod: started, probed, stopped, its end noticed; what is known of it is `facts`.

Shell. In: `start` and `stop`, as `lifecycle` decides. Out: `Container` facts and a call whenever they changed. It
decides nothing but how one run proceeds: prepare, execute, postStart, probes; preStop, SIGTERM, SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from graylane.cluster.kubelet.checks import Checker
from graylane.cluster.kubelet.console import Console, not_executed
from graylane.cluster.kubelet.prober import Listener, Prober
from graylane.cluster.kubelet.probes import Purpose, check_of, probes_of
from graylane.cluster.kubelet.proxies import advice
from graylane.cluster.kubelet.remains import Remains, notes_of
from graylane.cluster.kubelet.runs import CannotRun, launch_for
from graylane.cluster.kubelet.services import Services
from graylane.cluster.kubelet.states import Container, Running, State, Terminated, Waiting
from graylane.cluster.kubelet.status import container_id
from graylane.cluster.processes.child import Exit, Launch
from graylane.cluster.processes.holding import Keeping, Process
from graylane.cluster.processes.logfiles import forget_older, instance_file
from graylane.cluster.processes.logreading import last_words
from graylane.cluster.processes.table import Ran
from graylane.errors import ApiError
from graylane.model.meta import Obj, dig, uid_of

_RETRY_FIRST = timedelta(seconds=1)
_RETRY_LONGEST = timedelta(seconds=15)
_HOOK_TIMEOUT = 30.0
_MESSAGE_LINES, _MESSAGE_BYTES = 80, 2048
_LEAST_AFTER_PRESTOP = 2.0  # kubelet's: a hook that used up the grace period still leaves a moment for SIGTERM


class ContainerUnit:
    """The worker of one container. `pod` gives the newest object, `ip` its address."""

    def __init__(
        self,
        services: Services,
        pod: Callable[[], Obj],
        ip: Callable[[], str],
        spec: Mapping[str, Any],
        adopted: Container,
        changed: Callable[[], None],
    ) -> None:
        self.facts = adopted
        self._services = services
        self._pod = pod
        self._ip = ip
        self._spec = spec
        self._changed = changed
        self._launch: Launch | None = None
        self._process: Process | None = None
        self._ended: Process | None = None
        self.console = Console(services.processes)
        self._prober: Prober | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._retry = _RETRY_FIRST
        self._told = ""

    @property
    def name(self) -> str:
        return self.facts.name

    def start(self) -> None:
        """Begin a run in the background; `facts.busy` until it runs or has failed to."""
        self._know(busy=True)
        self._starting = asyncio.create_task(self._start())

    def take_over(self, process: Process, remains: Remains) -> None:
        """A run of which `adopted` told, and which goes on or has ended meanwhile."""
        self._launch = remains.launch
        if remains.exit is not None:
            self._ended = process
            self._know(state=self._with_last_words(self.facts.state))
            return
        self._has(process, remains.launch, remains.started_at)
        if remains.stopping:
            self._stopping = asyncio.create_task(self._finish_stopping(process))
        elif not remains.hooked:
            self._starting = asyncio.create_task(self._go_on_starting(remains.started_at))
        elif isinstance(self.facts.state, Running):
            self._probe(remains.started_at, self.facts.state)
            self._health_changed()

    def forget(self) -> None:
        """Its pod is gone, or a later run has begun: how the one before ended needs not be known any more."""
        if self._ended is not None:
            self._ended.forget()
            self._ended = None

    def stop(self, deadline: datetime, message: str) -> None:
        """End the run in the background, at the latest at `deadline`; asked again, the earlier deadline holds."""
        if self._stopping is not None:
            self._kill_at(deadline)
            return
        if self._process is not None:
            self._services.events.normal(self._pod(), "Killing", message)
        self._know(busy=True)
        self._stopping = asyncio.create_task(self._stop(deadline))

    async def ended(self) -> None:
        """Returns once nothing is under way any more."""
        for task in (self._starting, self._stopping):
            if task is not None:
                await asyncio.wait([task])

    # -- starting

    async def _start(self) -> None:
        try:
            await self._run()
        except CannotRun as problem:
            self._wait_and_retry(problem.reason, str(problem))
        except ApiError as error:
            self._wait_and_retry("ContainerCreating", f"the API does not answer: {error}")
        except OSError as error:
            self._failed_to_execute(error)
        finally:
            self._starting = None
            self._know(busy=self._stopping is not None)

    async def _run(self) -> None:
        pod = self._pod()
        self._launch, notes = await launch_for(self._services, pod, self._ip(), self._spec)
        self._retry, self._told = _RETRY_FIRST, ""
        for note in notes:
            self._services.events.warning(pod, "MountPathNotVisible", note)
        self._begin_run()
        events = self._services.events
        self._advise(pod, self._launch)
        events.normal(pod, "Pulled", f'Container image "{self._spec.get("image")}" already present on machine')
        events.normal(pod, "Created", f"Created container: {self.name}")
        started_at = self._services.clock.now()
        self._begin(pod, self._launch, started_at)
        events.normal(pod, "Started", f"Started container {self.name}")
        await self._start_up(started_at)

    async def _start_up(self, started_at: datetime) -> None:
        """The process runs: its postStart, then its probes."""
        await self._post_start()
        if self._process is not None and not self._process.exited.done():
            self._process.note(hooked=True)
            self._probe(started_at)
            self._know(state=Running(started_at, *self._health()))

    async def _go_on_starting(self, started_at: datetime) -> None:
        """It was started by a kubelet that was killed before the postStart had ended."""
        try:
            await self._start_up(started_at)
        finally:
            self._starting = None
            self._know(busy=self._stopping is not None)

    def _begin_run(self) -> None:
        """Count the run; what the container was before becomes its last state."""
        facts, now = self.facts, self._services.clock.now()
        if isinstance(facts.state, Terminated):
            backoff = facts.backoff.advanced(facts.state.finished_at, now)
            facts = replace(facts, last=facts.state, backoff=backoff, state=Waiting("ContainerCreating"))
        self.facts = replace(facts, runs=facts.runs + 1)

    def _advise(self, pod: Obj, launch: Launch) -> None:
        """Once for a container: a program that does not use its proxy finds no Service, and does not say why."""
        first, proxied = self.facts.runs == 1, self._services.config.proxy_port is not None
        if first and proxied and self._services.network is None and (text := advice(launch.argv, launch.env)):
            self._services.events.normal(pod, "ProxyIgnored", text)

    def _begin(self, pod: Obj, launch: Launch, started_at: datetime) -> None:
        uid, directory, log = uid_of(pod), self._services.log_directory(pod), self._log_file
        forget_older(directory, self.name, self.facts.runs - 1)
        hooked = not dig(self._spec, "lifecycle", "postStart")
        notes = notes_of(uid, self.facts, self._ip(), started_at, launch, hooked)
        keeping = Keeping(container_id(uid, self.facts), log, notes, flush=self._tells_last_words)
        process = self._services.processes.hold(launch, uid, keeping)
        self.forget()
        self._has(process, launch, started_at)

    def _has(self, process: Process, launch: Launch, started_at: datetime) -> None:
        self._process = process
        self.console.began(process, launch, uid_of(self._pod()), once=bool(self._spec.get("stdinOnce")))
        process.exited.add_done_callback(lambda done: self._exited(done.result(), started_at))

    @property
    def _log_file(self) -> Path:
        return instance_file(self._services.log_directory(self._pod()), self.name, self.facts.runs - 1)

    def _failed_to_execute(self, error: OSError) -> None:
        text = not_executed(self._launch.argv if self._launch else (), error)
        self._services.events.warning(self._pod(), "Failed", f"Error: {text}")
        self._end(Terminated(128, "StartError", self._services.clock.now(), message=text))

    def _wait_and_retry(self, reason: str, message: str) -> None:
        """Told once; the state shows from then on that it is tried again."""
        again = message == self._told
        if not again:
            self._told = message
            self._services.events.warning(self._pod(), _event_reason(reason), message)
        if reason == "ErrImagePull" and again:
            reason = "ImagePullBackOff"
        self._know(state=Waiting(reason, message, self._services.clock.now() + self._retry))
        self._retry = min(self._retry * 2, _RETRY_LONGEST)

    async def _post_start(self) -> None:
        hook = dig(self._spec, "lifecycle", "postStart")
        if not hook:
            return
        failure = await self._hook(hook, _HOOK_TIMEOUT)
        if failure and self._process is not None:
            self._services.events.warning(self._pod(), "FailedPostStartHook", f"PostStartHook failed: {failure}")
            await self._process.stop(_LEAST_AFTER_PRESTOP)

    # -- while it runs

    def _probe(self, since: datetime, before: Running | None = None) -> None:
        self._prober = Prober(
            self.name,
            probes_of(self._spec) if self.facts.sidecar or not self.facts.init else (),
            Checker(self._ip(), self._services.http, self._command),
            self._services.clock,
            Listener(self._health_changed, self._probe_failed),
        )
        self._prober.start(since, before)

    def _health(self) -> tuple[bool, bool, str, timedelta | None]:
        assert self._prober is not None
        health = self._prober.health
        return health.started, health.ready, health.unhealthy, health.within

    def _health_changed(self) -> None:
        if isinstance(self.facts.state, Running):
            self._know(state=Running(self.facts.state.at, *self._health()))

    def _probe_failed(self, purpose: Purpose, message: str) -> None:
        self._services.events.warning(self._pod(), "Unhealthy", message)

    async def _command(self, words: tuple[str, ...], timeout_seconds: float) -> Ran:
        """Run a probe's or hook's command as the container itself runs."""
        assert self._launch is not None
        launch = replace(self._launch, argv=words, stdin=False, terminal=False)
        return await self._services.processes.run(launch, uid_of(self._pod()), timeout_seconds)

    async def _hook(self, hook: Mapping[str, Any], timeout_seconds: float) -> str:
        """Why a lifecycle hook failed; "" when it did not."""
        if sleep := hook.get("sleep"):
            await asyncio.sleep(min(float(sleep.get("seconds") or 0), timeout_seconds))
            return ""
        checker = Checker(self._ip(), self._services.http, self._command)
        result = await checker.check(check_of(hook, self._spec), timeout_seconds)
        return "" if result.success else result.message or "it did not succeed"

    # -- ending

    async def _stop(self, deadline: datetime) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        if self._process is not None and not self._process.stopping:
            await self._pre_stop(deadline)
        if self._process is not None:
            await self._process.stop(self._seconds_until(deadline))
        self._stopping = None
        self._know(busy=False)

    async def _finish_stopping(self, process: Process) -> None:
        """A kubelet that was killed has begun it; the holder kills what does not end in time."""
        await process.gone
        self._stopping = None
        self._know(busy=False)

    async def _pre_stop(self, deadline: datetime) -> None:
        hook = dig(self._spec, "lifecycle", "preStop")
        left = (deadline - self._services.clock.now()).total_seconds()
        if not hook or left <= 0 or self._process is None:
            return
        running = asyncio.create_task(self._hook(hook, left))
        either: list[asyncio.Future[Any]] = [running, self._process.exited]
        await asyncio.wait(either, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            running.cancel()
        elif failure := running.result():
            self._services.events.warning(self._pod(), "FailedPreStopHook", f"PreStopHook failed: {failure}")

    def _seconds_until(self, deadline: datetime) -> float:
        left = (deadline - self._services.clock.now()).total_seconds()
        return max(left, _LEAST_AFTER_PRESTOP if dig(self._spec, "lifecycle", "preStop") else 0.0)

    def _kill_at(self, deadline: datetime) -> None:
        left = max((deadline - self._services.clock.now()).total_seconds(), 0)
        if self._process is not None:
            asyncio.get_running_loop().call_later(left, self._process.kill)

    def _exited(self, exit: Exit, started_at: datetime) -> None:
        reason = "Completed" if exit.code == 0 else "Error"
        ended = Terminated(exit.code, reason, self._services.clock.now(), started_at, exit.signal)
        self._end(self._with_last_words(ended))

    @property
    def _tells_last_words(self) -> bool:
        return bool(self._spec.get("terminationMessagePolicy") == "FallbackToLogsOnError")

    def _with_last_words(self, state: State) -> State:
        """What a failed container's log ends with, for those that want it told as their message."""
        if self._tells_last_words and isinstance(state, Terminated) and not state.succeeded:
            with contextlib.suppress(OSError, ValueError):
                return replace(state, message=last_words(self._log_file, _MESSAGE_LINES, _MESSAGE_BYTES))
        return state

    def _end(self, state: State) -> None:
        if self._prober is not None:
            self._prober.stop()
            self._prober = None
        self._ended, self._process = self._process or self._ended, None
        self.console.ended()
        self._know(state=state)

    def _know(self, **facts: Any) -> None:
        new = replace(self.facts, **facts)
        if new != self.facts:
            self.facts = new
            self._changed()


def _event_reason(waiting_reason: str) -> str:
    """The event that goes with a waiting reason, as kubelet names them."""
    return {"ContainerCreating": "FailedMount"}.get(waiting_reason, "Failed")
