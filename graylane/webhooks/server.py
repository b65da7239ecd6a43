"""Serves the admission handlers and the conversion of Rollouts over HTTPS, and says how to register the former.

Shell. In: address, certificate and key files, a source of views. Out: a listening server, and the two webhook
configurations that point to it.
"""

from __future__ import annotations

import base64
import inspect
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
from aiohttp import web

from graylane.errors import ApiError, BadRequest
from graylane.kit.cache import View
from graylane.model.kinds import MUTATING_WEBHOOK, REPLICA_SET, ROLLOUT, VALIDATING_WEBHOOK, Kind
from graylane.model.meta import Obj
from graylane.model.rollout import CANARY_DEPLOYMENT, GROUP
from graylane.model.versions.rollout import VERSIONS
from graylane.webhooks import keeping, naming
from graylane.webhooks.conversion import CONVERT, convert_review
from graylane.webhooks.deployments import mutate_deployment
from graylane.webhooks.review import AdmissionResponse, request_of
from graylane.webhooks.rollouts import validate_rollout

_TIMEOUT_SECONDS = 5

MUTATING, VALIDATING = "graylane-mutating-webhook", "graylane-validating-webhook"

Handler = Callable[[Obj, View], AdmissionResponse | Awaitable[AdmissionResponse]]
MUTATE_DEPLOYMENT, VALIDATE_ROLLOUT = "/mutate-apps-v1-deployment", "/validate-rollouts-kruise-io-rollout"
HANDLERS: dict[str, Handler] = {
    MUTATE_DEPLOYMENT: mutate_deployment,
    VALIDATE_ROLLOUT: validate_rollout,
    keeping.KEEP_PIN: keeping.keep_pin,
    keeping.KEEP_HOLD: keeping.keep_hold,
    naming.FOLLOW_NAME: naming.follow_name,
}

_ROLLOUT_VERSIONS = [version.rpartition("/")[2] for version in VERSIONS]

WATCHED: tuple[Kind, ...] = (ROLLOUT, REPLICA_SET)  # what the handlers read from the view


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Where to listen (port 0 picks one) and with which PEM files."""

    host: str
    port: int
    cert: Path
    key: Path


class WebhookServer:
    """`async with WebhookServer(config, manager.view) as server: server.url`. `more` are handlers beside `HANDLERS`."""

    def __init__(
        self, config: WebhookConfig, view_provider: Callable[[], View], more: Mapping[str, Handler] | None = None
    ) -> None:
        self._config = config
        self._view = view_provider
        self._handlers = HANDLERS | dict(more or {})
        self._runner: web.AppRunner | None = None
        self.port = config.port

    @property
    def url(self) -> str:
        return f"https://{self._config.host}:{self.port}"

    async def __aenter__(self) -> WebhookServer:
        app = web.Application()
        for path in self._handlers:
            app.router.add_post(path, self._serve)
        app.router.add_post(CONVERT, self._convert)
        app.router.add_get("/healthz", self._healthy)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._config.cert, self._config.key)
        site = web.TCPSite(self._runner, self._config.host, self._config.port, ssl_context=context)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            asked = request_of(await request.read())
        except BadRequest as error:
            return _json(error.to_status(), error.http_code)
        return _json((await self._answer(request.path, asked)).to_review(str(asked["uid"])))

    async def _convert(self, request: web.Request) -> web.Response:
        try:
            return _json(convert_review(await request.read()))
        except BadRequest as error:
            return _json(error.to_status(), error.http_code)

    async def _answer(self, path: str, asked: Obj) -> AdmissionResponse:
        try:
            answer = self._handlers[path](asked, self._view())
            return await answer if inspect.isawaitable(answer) else answer
        except ApiError as error:
            return AdmissionResponse(error=error)

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")


def configurations(base_url: str, ca_bundle: bytes) -> list[Obj]:
    """The objects that make an API server ask us. `ca_bundle` is PEM.

    Deployments fail open: were the webhook down, OpenKruise's `Fail` would block every update of a released workload
    (D22); ours lets it pass, and the controller notices the changed template by itself and holds the Deployment then.
    So do Services and what routes go through. Rollouts fail closed: nothing would notice a second Rollout on one
    workload later.
    """

    def client(path: str) -> Obj:
        return {"url": base_url + path, "caBundle": base64.b64encode(ca_bundle).decode()}

    not_canary = {"matchExpressions": [{"key": CANARY_DEPLOYMENT, "operator": "DoesNotExist"}]}
    common = {"admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": _TIMEOUT_SECONDS}
    mutating: Obj = {
        "name": "mdeployment.kb.io",
        "clientConfig": client(MUTATE_DEPLOYMENT),
        "rules": [_rule("apps", ["v1"], "deployments", ["UPDATE"])],
        "objectSelector": not_canary,
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "IfNeeded",
    }
    following: Obj = {
        "name": "mrollout.graylane.dev",
        "clientConfig": client(naming.FOLLOW_NAME),
        "rules": [_rule(GROUP, ["v1beta1"], ROLLOUT.plural, ["UPDATE"])],
        "matchPolicy": "Exact",
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "IfNeeded",
    }
    validating: Obj = {
        "name": "vrollout.kb.io",
        "clientConfig": client(VALIDATE_ROLLOUT),
        "rules": [_rule(GROUP, _ROLLOUT_VERSIONS, ROLLOUT.plural, ["CREATE", "UPDATE"])],
        "failurePolicy": "Fail",
    }
    return [
        _configuration(MUTATING_WEBHOOK, MUTATING, [mutating | common, *keeping.webhooks(client), following | common]),
        _configuration(VALIDATING_WEBHOOK, VALIDATING, [validating | common]),
    ]


def _rule(group: str, versions: list[str], resource: str, operations: list[str]) -> Obj:
    return {"apiGroups": [group], "apiVersions": versions, "resources": [resource], "operations": operations}


def _configuration(kind: Kind, name: str, webhooks: list[Obj]) -> Obj:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name},
        "webhooks": webhooks,
    }


def _json(body: Obj, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json", status=status)
