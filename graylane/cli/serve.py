"""Runs one embedded cluster in this process from its first progress line to its clean stop.

Shell. In: `UpOptions`, someone to report to. Out: a cluster until a signal comes or the lifeline closes. Whatever way
it ends, the cluster is stopped and the data directory is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from graylane.cli import addresses, logs
from graylane.cli.background import PipeReporter, Reporter, start
from graylane.cli.datadir import DataDir, Running, default_data
from graylane.cli.examples import scenario
from graylane.cli.exits import Exit, code_of, line_of
from graylane.cli.manifests import Manifest, read
from graylane.cli.next_steps import Place, ready
from graylane.cli.output import progress
from graylane.cli.ports import NODE_PORTS, free_port, require_free
from graylane.cli.processes import Process
from graylane.errors import GraylaneError, UserError
from graylane.kit import garbage

if TYPE_CHECKING:
    from graylane.app import Cluster
    from graylane.cli.up import UpOptions

_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


@dataclass(frozen=True, slots=True)
class TerminalReporter:
    """Progress on stderr; what to do next on stdout."""

    data: Path

    def progress(self, message: str) -> None:
        progress(message)

    def ready(self, running: Running) -> None:
        _tell(running, "up", self.data, background=False)


def _tell(running: Running, what: str, data: Path, *, background: bool) -> None:
    place = Place(data, default_data().absolute(), scenario(), Path.cwd(), _is_proxied(running.gateway))
    print(ready(running, what, place, background=background), flush=True)


def _is_proxied(url: str) -> bool:
    """Whether this shell's programs send requests for `url` to a proxy, which cannot reach it."""
    from urllib.request import getproxies, proxy_bypass

    host = url.removeprefix("http://")
    return "http" in getproxies() and not proxy_bypass(host)


def in_foreground(options: UpOptions) -> None:
    _run(options, TerminalReporter(options.data), None)


def in_background(options: UpOptions) -> None:
    """A cluster that runs already is what was wanted, so it is told and not an error."""
    data = DataDir(options.data)
    if running := data.running():
        _tell(running, "already running", options.data, background=True)
        return
    if Path("-") in options.files:
        raise UserError("-f - cannot be read in the background; name a file, or leave out --detach")
    read(list(options.files))  # a typo in a manifest is told before anything starts
    _tell(start(data, options.arguments(), progress), "up", options.data, background=True)


def for_parent(options: UpOptions, pipe: IO[str], lifeline: int | None) -> int:
    """The background process. Its errors go to the parent as well as to the log."""
    reporter = PipeReporter(pipe)
    try:
        _run(options, reporter, lifeline)
    except GraylaneError as error:
        reporter.failed(line_of(error), code_of(error))
        return code_of(error)
    except Exception as error:
        logging.exception("the cluster failed")
        reporter.failed(f"{type(error).__name__}: {line_of(error)}; see {DataDir(options.data).log}", Exit.DEFECT)
        return Exit.DEFECT
    return Exit.DONE


def _run(options: UpOptions, reporter: Reporter, lifeline: int | None) -> None:
    import uvloop

    manifests = read(list(options.files))
    data = DataDir(options.data)
    with data.claim():
        logs.set_up(data.log, terminal=isinstance(reporter, TerminalReporter))
        uvloop.run(_serve(options, manifests, data, reporter, lifeline))


def _cluster(options: UpOptions) -> Cluster:
    """A core installation lacks some of what the embedded cluster is made of; that is no defect."""
    try:
        from graylane.app import Cluster, ClusterConfig
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "graylane":
            raise
        raise UserError(
            f"the embedded cluster needs the module {package}; install it with: pip install 'graylane[local]'"
        ) from error
    from graylane.cluster.processes import holding

    holding.end_orphans(options.data)
    api_port, gateway_port = check_ports(*_as_before(options))
    node_ip, images = options.node_ip, options.images
    if images:
        _require_images(images)
    network, ledger = options.pod_network, options.ledger
    return Cluster(ClusterConfig(options.data, node_ip, api_port, gateway_port, images, network, ledger))


def _as_before(options: UpOptions) -> tuple[str, int, int, int]:
    """The ports asked for; of a cluster that was killed and goes on, "any that is free" means those it has."""
    from graylane.cluster.envoy import running
    from graylane.cluster.processes.ports import is_free

    left, last = running.left(options.data), addresses.chosen(options.data, None, None, None)[0]
    if left is None or left.node_ip != options.node_ip:
        return options.node_ip, options.api_port, options.gateway_port, 0
    before = last.api_port if last.node_ip == options.node_ip and is_free(last.node_ip, last.api_port) else 0
    return options.node_ip, options.api_port or before, options.gateway_port or left.gateway_port, left.gateway_port


async def _serve(
    options: UpOptions, manifests: list[Manifest], data: DataDir, reporter: Reporter, lifeline: int | None
) -> None:
    garbage.is_being_built()
    cluster = _cluster(options)
    with _stop_signals() as stopped:
        if lifeline is not None:
            _stop_when_closed(lifeline, stopped)
        try:
            await _unless(stopped, _start(cluster, manifests, data, reporter))
            await _unless(stopped, cluster.failed())
        finally:
            reporter.progress("stopping")
            await cluster.stop()


async def _start(cluster: Cluster, manifests: list[Manifest], data: DataDir, reporter: Reporter) -> None:
    await cluster.start(reporter.progress)
    garbage.is_built()
    if manifests:
        await _apply(cluster, manifests, reporter)
    own = Process.own()
    running = Running(own.pid, own.started, str(cluster.kubeconfig_path), cluster.gateway_url)
    config = cluster.config
    addresses.keep(data.path, addresses.Addresses(config.node_ip, config.api_port, config.gateway_port))
    data.announce(running)
    reporter.ready(running)


async def _apply(cluster: Cluster, manifests: list[Manifest], reporter: Reporter) -> None:
    from graylane.cli.apply import Applier
    from graylane.client import ApiClient, load_kubeconfig

    config = load_kubeconfig(cluster.kubeconfig_path)
    async with ApiClient(config) as client:
        await Applier(client, config.namespace).apply(manifests, reporter.progress)


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set, instead of tearing the loop down half-way."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in caught:
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


def _stop_when_closed(descriptor: int, stopped: asyncio.Event) -> None:
    """Nothing is ever written to the lifeline: when it becomes readable, its other end is gone."""
    loop = asyncio.get_running_loop()

    def closed() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        stopped.set()

    loop.add_reader(descriptor, closed)


async def _unless(stopped: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` to its end, or cancels it when we are asked to stop first."""
    task = asyncio.create_task(work)
    stop = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    if task.done() and not task.cancelled():
        task.result()


def check_ports(node_ip: str, api_port: int, gateway_port: int, ours: int = 0) -> tuple[int, int]:
    """The two ports to use; raises `UserError` naming whoever has one of them. `ours`: our own Envoy has it already."""
    _require_loopback(node_ip)
    api = api_port or free_port(node_ip)
    gateway = gateway_port or free_port(node_ip, NODE_PORTS)
    if gateway not in NODE_PORTS:
        raise UserError(f"--gateway-port {gateway} is no NodePort; choose one from 30000 to 32767")
    if api == gateway:
        raise UserError(f"port {api} cannot be both --api-port and --gateway-port")
    require_free(node_ip, api, "--api-port")
    if gateway != ours:
        require_free(node_ip, gateway, "--gateway-port")
    return api, gateway


def _require_loopback(address: str) -> None:
    """Only there can an address be used without configuring it, and nothing is reachable from elsewhere."""
    try:
        fits = ipaddress.IPv4Address(address) in _LOOPBACK
    except ipaddress.AddressValueError:
        fits = False
    if not fits:
        raise UserError(f"--node-ip {address}: not an address of {_LOOPBACK}; type e.g. --node-ip 127.0.0.2")


def _require_images(file: Path) -> None:
    """A catalogue that was named is read before anything starts, not when a pod first needs it."""
    from graylane.cluster.kubelet.services import Images

    if not file.is_file():
        raise UserError(f"--images {file}: no such file; name a YAML file that maps images to commands")
    Images(file).catalogue()
