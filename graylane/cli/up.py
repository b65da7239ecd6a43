"""`graylane up`: start the embedded cluster, or go on with the one that was stopped or killed.

Shell. In: options. Out: a running cluster in this process until Ctrl-C, or in the background with --detach.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from graylane.cli.options import Data

_LAST = "as the last time here, at first"


class PodNetwork(StrEnum):
    """Where pods' addresses are; the values are `ClusterConfig.pod_network`'s."""

    LOOPBACK = "loopback"
    NETNS = "netns"


class Switch(StrEnum):
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """Everything `up` was asked for."""

    data: Path
    files: tuple[Path, ...]
    api_port: int
    gateway_port: int
    node_ip: str
    images: Path | None
    pod_network: str
    ledger: bool = True

    def arguments(self) -> list[str]:
        """The same wish as a command line, for the background process; the data directory aside."""
        words = [
            f"--api-port={self.api_port}",
            f"--gateway-port={self.gateway_port}",
            f"--node-ip={self.node_ip}",
            f"--pod-network={self.pod_network}",
            f"--ledger={Switch.ON if self.ledger else Switch.OFF}",
        ]
        words += [f"--images={self.images.absolute()}"] if self.images else []
        return words + [f"--filename={path.absolute()}" for path in self.files]


def command(
    data: Data = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when all is ready; stop with `down`.")] = False,
    filename: Annotated[
        list[Path] | None,
        typer.Option("--filename", "-f", metavar="FILE", help="Apply this file or folder; - is standard input."),
    ] = None,
    api_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65535, help=f"Default: {_LAST} 6443; 0 takes a free one."),
    ] = None,
    gateway_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65535, help=f"Default: {_LAST} 30080; 30000 to 32767, 0 takes a free one."
        ),
    ] = None,
    node_ip: Annotated[
        str | None,
        typer.Option(metavar="IP", help=f"The node's own address, of 127.0.0.0/8; default: {_LAST} 127.0.0.1."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A YAML file that maps images to commands.")
    ] = None,
    pod_network: Annotated[
        PodNetwork,
        typer.Option(
            help="netns (Linux, root): every pod has its own network, DNS and a transparent proxy; "
            "loopback: pods share this machine's and find Services through http_proxy."
        ),
    ] = PodNetwork.LOOPBACK,
    ledger: Annotated[
        Switch,
        typer.Option(help="off: proxies do not tell of requests; `status` shows none, `verify` cannot be used."),
    ] = Switch.ON,
    report_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    lifeline_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start or resume the embedded cluster; prints its kubeconfig and the gateway's URL."""
    from graylane.cli import addresses, serve
    from graylane.cli.datadir import DataDir, default_data
    from graylane.cli.output import progress

    place = DataDir((data or default_data()).absolute())
    where, kept = addresses.chosen(place.path, node_ip, api_port, gateway_port)
    if kept:
        progress(kept)
    options = UpOptions(
        place.path,
        tuple(filename or ()),
        where.api_port,
        where.gateway_port,
        where.node_ip,
        images,
        pod_network.value,
        ledger is Switch.ON,
    )
    if report_fd is not None:
        raise typer.Exit(serve.for_parent(options, os.fdopen(report_fd, "w"), lifeline_fd))
    if detach:
        serve.in_background(options)
    else:
        serve.in_foreground(options)
