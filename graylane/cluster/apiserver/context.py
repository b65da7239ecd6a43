"""The server's parts as one value, and one call on them.

Shell in what it holds, plain in itself. In: store, registry, schemas, admission, clock. Out: `Api`, and a `Call` per
request, which is all that a verb receives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from graylane.cluster.apiserver import media
from graylane.cluster.apiserver.admission.chain import Admission
from graylane.cluster.apiserver.auth import Authenticator
from graylane.cluster.apiserver.authorization.attributes import of_target
from graylane.cluster.apiserver.authorization.authorizer import Authorizer
from graylane.cluster.apiserver.config import ApiServerConfig
from graylane.cluster.apiserver.converter import Converter
from graylane.cluster.apiserver.exchange import Request, User
from graylane.cluster.apiserver.metrics.meter import Meter
from graylane.cluster.apiserver.nodes import Nodes
from graylane.cluster.apiserver.options import WriteOptions
from graylane.cluster.apiserver.paths import Target
from graylane.cluster.apiserver.registry import Registry
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.cluster.apiserver.store import Entry, Store
from graylane.cluster.apiserver.strategy.base import Ledger, Strategy
from graylane.cluster.apiserver.strategy.table import strategy_of
from graylane.cluster.apiserver.tokens.issuer import Issuer
from graylane.cluster.apiserver.types import Types
from graylane.model.meta import Key, Obj


@dataclass(frozen=True, slots=True)
class Api:
    """Everything a request may need. `clock` gives the time in UTC."""

    config: ApiServerConfig
    store: Store
    registry: Registry
    types: Types
    admission: Admission
    converter: Converter
    nodes: Nodes
    meter: Meter
    authenticator: Authenticator
    authorizer: Authorizer
    issuer: Issuer
    clock: Callable[[], datetime]

    def ledger(self) -> Ledger:
        return Ledger(self.clock(), self.store, self.config.service_cidr, self.config.node_ports)


@dataclass(frozen=True, slots=True)
class Call:
    """One request for one resource. `warnings` collects what goes into Warning headers."""

    api: Api
    request: Request
    target: Target
    resource: Resource
    user: User
    options: WriteOptions = field(default_factory=WriteOptions)
    warnings: list[str] = field(default_factory=list)

    @property
    def key(self) -> Key:
        return Key(self.target.namespace if self.resource.namespaced else "", self.target.name)

    @property
    def strategy(self) -> Strategy:
        return strategy_of(self.resource)

    @property
    def status_fixes(self) -> tuple[str, ...] | None:
        """The metadata that a write of the status leaves alone; None when that is all of it."""
        return None if self.resource.custom else self.strategy.status_fixes

    @property
    def structural(self) -> Structural:
        return self.api.types.of(self.resource)

    @property
    def wanted(self) -> media.Wanted:
        return media.wanted(self.request.headers.get("accept", ""))

    @property
    def manager(self) -> str:
        """Who writes: as the client names itself, else its program."""
        agent = self.request.headers.get("user-agent", "")
        return self.options.field_manager or agent.partition("/")[0] or "unknown"

    async def shown(self, entry: Entry) -> Obj:
        """The object in the version this call speaks."""
        return await self.api.converter.obj(self.resource, entry.obj, self.resource.api_version)

    async def stored(self, obj: Obj) -> Obj:
        """An object of this call in the version that is kept."""
        return await self.api.converter.obj(self.resource, obj, self.resource.stored_api_version)

    def require(self, verb: str) -> None:
        """403 unless the caller may do `verb` too, where one request does more than its method says."""
        self.api.authorizer.require(self.user, of_target(self.target, verb, self.request.query))

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
