"""The API server as one thing to start and stop.

Shell. In: `ApiServerConfig`. Out: HTTPS on `host:port`; state durable in `data_dir`.
"""

from __future__ import annotations

import errno
import ssl
from datetime import UTC, datetime

from graylane.cluster.apiserver.admission.caller import Caller
from graylane.cluster.apiserver.admission.chain import Steps
from graylane.cluster.apiserver.admission.policies import Policies
from graylane.cluster.apiserver.admission.webhooks import Webhooks
from graylane.cluster.apiserver.api import Front
from graylane.cluster.apiserver.auth import Authenticator
from graylane.cluster.apiserver.authorization.aggregator import Aggregator
from graylane.cluster.apiserver.authorization.authorizer import Authorizer
from graylane.cluster.apiserver.authorization.escalation import Escalation
from graylane.cluster.apiserver.bootstrap import bootstrap
from graylane.cluster.apiserver.cleanup import Definitions
from graylane.cluster.apiserver.config import ApiServerConfig
from graylane.cluster.apiserver.context import Api
from graylane.cluster.apiserver.converter import Converter
from graylane.cluster.apiserver.exchange import User
from graylane.cluster.apiserver.http import HttpServer
from graylane.cluster.apiserver.metrics.meter import Meter
from graylane.cluster.apiserver.nodes import Nodes
from graylane.cluster.apiserver.registry import Registry
from graylane.cluster.apiserver.store import Store
from graylane.cluster.apiserver.tokens.accounts import Accounts
from graylane.cluster.apiserver.tokens.issuer import Issuer
from graylane.cluster.apiserver.tokens.keeper import Keeper
from graylane.cluster.apiserver.types import Types
from graylane.errors import UserError

__all__ = ["ApiServer", "ApiServerConfig", "User"]


class ApiServer:
    """`start` returns once requests are answered; `stop` once everything acknowledged is on disk."""

    def __init__(self, config: ApiServerConfig) -> None:
        self.config = config
        store, registry = Store(config.data_dir, config.history), Registry()
        issuer = Issuer(config.data_dir / "service-accounts.key")
        nodes = Nodes(config.kubelet_token, config.kubelet_ca)
        self._caller = Caller(lambda namespace: [e.obj for e in store.entries(_SLICES, namespace)])
        self.api = Api(
            config=config,
            store=store,
            registry=registry,
            types=Types(registry),
            admission=Steps((Escalation(), Policies(store), Webhooks(store, self._caller))),
            converter=Converter(self._caller, registry),
            nodes=nodes,
            meter=Meter(nodes, _now),
            authenticator=Authenticator(config.tokens, Accounts(store, issuer, _now)),
            authorizer=Authorizer(store),
            issuer=issuer,
            clock=_now,
        )
        self._definitions = Definitions(self.api)
        self._aggregator, self._keeper = Aggregator(self.api), Keeper(self.api)
        self.front = Front(self.api)
        self._http = HttpServer(self.front.handle, config.max_body)

    @property
    def port(self) -> int:
        return self._http.port

    @property
    def url(self) -> str:
        scheme = "https" if self.config.certificate else "http"
        return f"{scheme}://{self.config.host}:{self.port}"

    async def open(self) -> None:
        """Everything but the socket: enough to drive `front.handle` in process."""
        await self.api.store.open()
        try:
            self._definitions.start()
            await bootstrap(self.api, self.config.port or 443)
            self._aggregator.start()
            self._keeper.start()
        except BaseException:  # a stop while starting included: the writer thread must not outlive the loop
            await self._close()
            raise

    async def start(self) -> None:
        """Raises `UserError` when the port is taken, the data directory in use, or its content unreadable."""
        await self.open()
        try:
            await self._http.start(self.config.host, self.config.port, _tls(self.config))
        except BaseException as error:
            await self._close()
            if isinstance(error, OSError):
                raise _cannot_listen(self.config, error) from error
            raise

    async def stop(self) -> None:
        """Watches end, waiting writes are finished, the directory is free again."""
        self.api.store.end_watches()
        await self._http.stop()
        await self._close()

    async def _close(self) -> None:
        for part in (self._keeper, self._aggregator, self._definitions):
            await part.stop()
        await self._caller.close()
        await self.api.nodes.close()
        await self.api.store.close()


_SLICES = "endpointslices.discovery.k8s.io"


def _now() -> datetime:
    return datetime.now(UTC)


def _tls(config: ApiServerConfig) -> ssl.SSLContext | None:
    if config.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.certificate, config.key)
    return context


def _cannot_listen(config: ApiServerConfig, error: OSError) -> UserError:
    where = f"{config.host}:{config.port}"
    if error.errno == errno.EADDRINUSE:
        return UserError(f"{where} is taken by another process; stop it or choose another port for the API")
    return UserError(f"cannot listen on {where}: {error.strerror or error}")
