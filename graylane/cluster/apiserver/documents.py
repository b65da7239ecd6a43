"""Paths that name no resource: health, version, discovery, OpenAPI, the keys of tokens.

Pure but for a cache of the OpenAPI documents. In: a GET. Out: a document, or 404.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from dataclasses import replace

import orjson

from graylane.cluster.apiserver import discovery, failures
from graylane.cluster.apiserver.exchange import Reply, Request
from graylane.cluster.apiserver.registry import Registry
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema import openapi, openapi_v2
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.tokens.claims import ISSUER
from graylane.cluster.apiserver.tokens.issuer import Issuer
from graylane.cluster.apiserver.tokens.jwt import ALGORITHM
from graylane.errors import NotAcceptable
from graylane.model.meta import Obj

_HEALTH = ("healthz", "livez", "readyz")
_FOREVER = ("Cache-Control", "public, max-age=31536000, immutable")


class Documents:
    """Answers every GET outside resource paths."""

    def __init__(self, registry: Registry, git_version: str, issuer: Issuer) -> None:
        self._issuer = issuer
        self._registry = registry
        self._version = _version(git_version or f"v{Schemas.load().components.version}.0+graylane")
        self._kept: dict[str, tuple[int, bytes]] = {}

    def answer(self, request: Request) -> Reply:
        first, *rest = request.path.strip("/").split("/")
        if first in _HEALTH:
            return Reply(200, b"ok", "text/plain; charset=utf-8")
        if first == "version" and not rest:
            return Reply.json(self._version)
        if first == "api":
            return self._core(request, rest)
        if first == "apis":
            return self._groups(request, rest)
        if first == "openapi":
            return self._openapi(request, rest)
        if (first, rest) == ("openid", ["v1", "jwks"]):
            return Reply(200, orjson.dumps(self._issuer.key_set()), "application/jwk-set+json")
        if (first, rest) == (".well-known", ["openid-configuration"]):
            return Reply.json(_openid())
        if first == "":
            return Reply.json({"paths": self._paths()})
        raise failures.no_such_path(request.path)

    def _core(self, request: Request, rest: list[str]) -> Reply:
        if rest:
            return Reply.json(discovery.resources(self._registry, "", rest[0]))
        if discovery.wants_aggregated(request.headers.get("accept", "")):
            return _aggregated(discovery.aggregated(self._registry, core=True))
        return Reply.json(discovery.core_versions())

    def _groups(self, request: Request, rest: list[str]) -> Reply:
        if len(rest) == 2:
            return Reply.json(discovery.resources(self._registry, rest[0], rest[1]))
        if len(rest) == 1:
            return Reply.json(discovery.group(self._registry, rest[0]))
        if discovery.wants_aggregated(request.headers.get("accept", "")):
            return _aggregated(discovery.aggregated(self._registry, core=False))
        return Reply.json(discovery.groups(self._registry))

    def _openapi(self, request: Request, rest: list[str]) -> Reply:
        if rest == ["v2"]:
            return self._v2(request)
        if rest[:1] != ["v3"]:
            raise failures.no_such_path(request.path)
        if len(rest) == 1:
            body = self._keep("v3", lambda: orjson.dumps(self._v3_index()))
            return _revalidated(request, body)
        group_version = "/".join(rest[2:] if rest[1] in ("api", "apis") else rest[1:])
        return self._v3(request, group_version)

    def _v3_index(self) -> Obj:
        return openapi.v3_index(
            {gv: openapi.v3_hash(served, Schemas.load(), self._crds()) for gv, served in self._by_version().items()}
        )

    def _v3(self, request: Request, group_version: str) -> Reply:
        served = self._by_version().get(group_version)
        if served is None:
            raise failures.no_such_path(request.path)
        body = self._keep(
            f"v3/{group_version}", lambda: orjson.dumps(openapi.v3_document(served, Schemas.load(), self._crds()))
        )
        found = _revalidated(request, body)
        return replace(found, headers=(*found.headers, _FOREVER)) if request.query.text("hash") else found

    def _v2(self, request: Request) -> Reply:
        if "proto-openapi" not in request.headers.get("accept", ""):
            raise NotAcceptable("/openapi/v2 is served as protobuf only; use /openapi/v3 for JSON")
        body = self._keep(
            "v2", lambda: openapi_v2.v2_protobuf(self._registry.described(), Schemas.load(), self._crds())
        )
        reply = _revalidated(request, body)
        return Reply(reply.status, reply.body, openapi_v2.CONTENT_TYPE, reply.headers)

    def _by_version(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self._registry.described():
            found.setdefault(resource.api_version, []).append(resource)
        return found

    def _crds(self) -> openapi.Crds:
        found = {}
        for resource in self._registry.described():
            if custom := self._registry.custom(resource):
                found[resource.group, resource.version, resource.kind] = custom.schema
        return found

    def _keep(self, name: str, build: Callable[[], bytes]) -> bytes:
        """Documents change only when the set of kinds does; the largest takes tens of milliseconds to make."""
        changes, body = self._kept.get(name, (-1, b""))
        if changes != self._registry.changes:
            body = build()
            self._kept[name] = (self._registry.changes, body)
        return body

    def _paths(self) -> list[str]:
        versions = sorted(self._by_version())
        return ["/api", "/api/v1", "/apis", *(f"/apis/{v}" for v in versions if "/" in v), "/healthz", "/version"]


def _aggregated(document: Obj) -> Reply:
    return Reply(200, orjson.dumps(document), discovery.AGGREGATED)


def _revalidated(request: Request, body: bytes) -> Reply:
    """kubectl asks on every apply whether the index changed; mostly it has not."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32].upper()}"'
    if request.headers.get("if-none-match") == etag:
        return Reply(304, b"", headers=(("ETag", etag),))
    return Reply(200, body, headers=(("ETag", etag),))


def _openid() -> Obj:
    """Where somebody who is shown a ServiceAccount's token finds the keys to check it with (OpenID discovery)."""
    return {
        "issuer": ISSUER,
        "jwks_uri": f"{ISSUER}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }


def _version(git_version: str) -> Obj:
    major, minor = git_version.removeprefix("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": git_version,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }
