"""Whatever comes over HTTP is answered with what was asked for or with a Status that says why not, and what was refused
has changed nothing. `GRAYLANE_FUZZ_REQUESTS=100000` looks longer, `GRAYLANE_FUZZ_SEED` elsewhere (0: anywhere); a
failure prints the seed and the request."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp
import orjson
import pytest
from yarl import URL

from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig
from graylane.model.meta import Key
from graylane.testing.api.objects import Obj, config_map, deployment, namespace, pod, service, widget, widget_crd
from graylane.testing.api.rig import APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC
from graylane.testing.api.serve import ADMIN, TOKEN

REQUESTS = int(os.environ.get("GRAYLANE_FUZZ_REQUESTS", "1500"))
SEED = int(os.environ.get("GRAYLANE_FUZZ_SEED", "1")) or random.randrange(1 << 32)
MAX_BODY = 64 * 1024

NOBODYS = b"404 page not found\n"  # what kube-apiserver says of a path that no group owns
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
GROUP = "fuzz.example.com"
LISTS = {
    "configmaps": "/api/v1/namespaces/default/configmaps",
    "pods": "/api/v1/namespaces/default/pods",
    "services": "/api/v1/namespaces/default/services",
    "secrets": "/api/v1/namespaces/default/secrets",
    "namespaces": "/api/v1/namespaces",
    "deployments.apps": "/apis/apps/v1/namespaces/default/deployments",
    f"widgets.{GROUP}": f"/apis/{GROUP}/v1/namespaces/default/widgets",
    CRDS: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}
ELSEWHERE = (
    *("/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/healthz", "/openapi/v2"),
    *("/openapi/v3", "/openapi/v3/apis/apps/v1", "/nothing", "//", "/api//v1", "/apis/none/v1/things", "/api/v1/none"),
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    "/api/v1/namespaces/none/configmaps",
)
SUBRESOURCES = (
    "",
    "",
    "",
    "/status",
    "/scale",
    "/finalize",
    "/binding",
    "/eviction",
    "/token",
    "/exec",
    "/log",
    "/none",
    "/",
)
NAMES = ("a", "b", "missing", "A", "a.b", "..", "%2e%2e", "%00", "%ff", quote("é"), "a%2Fb", "x" * 300, "%", "a+b")
METHODS = ("GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH", "PATCH", "PATCH", "DELETE", "OPTIONS", "PURGE")
TYPES = (
    *(JSON, JSON, JSON, MERGE, MERGE, STRATEGIC, JSON_PATCH, APPLY, "application/yaml", "text/plain", "", ";", "a/b;c"),
    *(
        "application/vnd.kubernetes.protobuf",
        "application/json;charset=latin1",
        "application/unknown-patch+json",
        "*/*",
    ),
)
PATCHES = (MERGE, STRATEGIC, JSON_PATCH, APPLY)
ACCEPTS = (
    *(
        JSON,
        JSON,
        JSON,
        "",
        "*/*",
        "application/yaml",
        "text/html",
        "application/vnd.kubernetes.protobuf",
        ";;",
        "a;q=x",
    ),
    *(
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    ),
    "application/json;as=Nonsense;v=v9;g=none",
)
QUERIES = (
    *("", "", "", "", "dryRun=All", "dryRun=Some", "fieldValidation=Strict", "fieldValidation=Maybe", "pretty=true"),
    *("limit=1", "limit=-1", "limit=x", "limit=99999999999999999999", "continue=x", "continue=%ff", "continue=e30"),
    *("labelSelector=a%3Db", "labelSelector=%3D%3D", "labelSelector=a in (", "fieldSelector=metadata.name%3Da"),
    *("fieldSelector=none.such%3D1", "fieldSelector=,", "resourceVersion=0", "resourceVersion=x", "resourceVersion=-1"),
    *(
        "resourceVersion=1&resourceVersionMatch=Exact",
        "resourceVersionMatch=Odd",
        "watch=perhaps&timeoutSeconds=1",
        "timeoutSeconds=x",
    ),
    *("fieldManager=me", "fieldManager=me&force=true", "fieldManager=" + "x" * 200, "force=maybe", "%=%&&==", "a=%ff"),
    *("propagationPolicy=Orphan", "propagationPolicy=None", "gracePeriodSeconds=0", "gracePeriodSeconds=x", "=" * 50),
)


def manifests() -> list[Obj]:
    """One for each of `LISTS`."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "YQ=="}}
    found = [config_map("a"), pod("a", nodeName="n"), service("a"), secret, namespace("a"), deployment("a")]
    return [*found, widget("a", f"{GROUP}/v1"), widget_crd("other.example.com")]


SMALL: tuple[bytes, ...] = (
    *(
        b"",
        b" ",
        b"null",
        b"true",
        b"0",
        b'"x"',
        b"[]",
        b"{}",
        b"[1]",
        b"NaN",
        b"{",
        b"}",
        b"\x00",
        b"\xff\xfe",
        b"---",
    ),
    b'{"data":{"a":NaN}}',
    b'{"data":{"a":"1","a":"2"}}',
    b'{"data":{"a":"\\ud800"}}',
    b'{"data":null}',
    b'{"metadata":null}',
    b'{"metadata":{"name":"z"}}',
    b'{"metadata":{"labels":{"a":1}}}',
    b'{"metadata":{"finalizers":["x"]}}',
    b'{"metadata":{"resourceVersion":"1"}}',
    b'{"metadata":{"managedFields":[{}]}}',
    b'{"metadata":{"managedFields":[{"manager":1,"operation":"Update","fieldsType":"FieldsV1","fieldsV1":[1]}]}}',
    b'{"spec":{"replicas":-1}}',
    b'{"spec":{"replicas":1e400}}',
    b'{"spec":{"replicas":123456789012345678901234567890}}',
    b'{"spec":{"$patch":"replace"}}',
    b'{"$patch":"delete"}',
    b'{"spec":{"template":{"spec":{"containers":[{"$patch":"replace"},{"name":"x"}]}}}}',
    b'{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"x"}]}}}}',
    b'[{"op":"add","path":"/data/x","value":"1"}]',
    b'[{"op":"test","path":"/data/a","value":"9"}]',
    b'[{"op":"copy","from":"/none","path":"/x"}]',
    b'[{"op":"fly","path":"/x"}]',
    b'[{"op":"add","path":"x"}]',
    b'[{"op":"remove","path":"/metadata"}]',
    b'[{"op":"replace","path":"","value":3}]',
    orjson.dumps([{"op": "copy", "from": "", "path": f"/x{n}"} for n in range(40)]),
    orjson.dumps([{"op": "copy", "from": "/spec", "path": "/spec/extra/deeper"}] * 300),
    orjson.dumps([{"op": "test", "path": "", "value": 1}] * 10_001)[: MAX_BODY - 1],
    b'{"spec":{"size":1,"extra":' + b'{"a":' * 180 + b"1" + b"}" * 182,
    b'{"spec":{"versions":'
    + b'[{"schema":{"openAPIV3Schema":'
    + b'{"type":"object","properties":{"a":' * 80
    + b"{}"
    + b"}}" * 80
    + b"}}]}}",
    b'{"a":' * 1000 + b"1" + b"}" * 1000,
    b"[" * 1000 + b"]" * 1000,
    b"a: &a [*a]\nb: *a",
    b"a: &a [x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]",
    b"k8s\x00",
    b"k8s\x00\x0a\x10\x0a\x02v1\x12\x09ConfigMap\x12\xff\xff\xff\xff\x0f",
    b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"data":{"a":"' + b"x" * MAX_BODY + b'"}}',
)


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    content_type: str
    accept: str
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.content_type!r} {self.accept!r} {self.body[:300]!r}"


class Dice:
    """One seed, one sequence of requests. Each part of a request is mostly what a sane client would send."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def request(self) -> Asked:
        pick = self._dice.choice
        method, (root, obj) = pick(METHODS), pick(list(zip(LISTS.values(), manifests(), strict=True)))
        patch = method == "PATCH"
        content_type = pick(TYPES) if self._odd() else pick(PATCHES) if patch else JSON
        query = (
            pick(QUERIES) if self._odd() else pick(("fieldManager=me&force=true", "fieldManager=you")) if patch else ""
        )
        path = self._path(method, root, obj["metadata"]["name"]) + (f"?{query}".replace(" ", "%20") if query else "")
        return Asked(method, path, content_type, pick(ACCEPTS) if self._odd() else JSON, self._body(orjson.dumps(obj)))

    def _odd(self) -> bool:
        return self._dice.random() < 0.2

    def _path(self, method: str, root: str, name: str) -> str:
        if self._odd():
            pick = self._dice.choice
            return pick(ELSEWHERE) if self._odd() else f"{root}/{pick(NAMES)}{pick(SUBRESOURCES)}"
        return root if method == "POST" else f"{root}/{name}"

    def _body(self, body: bytes) -> bytes:
        """A manifest whole, cut, with bytes exchanged or joined with another; or something small and nasty."""
        dice = self._dice
        match dice.randrange(8):
            case 0:
                return body[: dice.randrange(len(body))]
            case 1:
                damaged = bytearray(body)
                for _ in range(dice.randrange(1, 4)):
                    damaged[dice.randrange(len(body))] = dice.randrange(256)
                return bytes(damaged)
            case 2:
                here, there = sorted((dice.randrange(len(body)), dice.randrange(len(body))))
                return body[:here] + body[there:]
            case 3:
                return body + dice.choice((b"x", b"{}", body, b"\n---\n" + body))
            case 4 | 5:
                return dice.choice(SMALL)
        return body


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    server = ApiServer(ApiServerConfig(tmp_path / "api", max_body=MAX_BODY, tokens={TOKEN: ADMIN}))
    await server.start()
    yield server
    await server.stop()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes

    def problem(self, method: str) -> str:
        """Why this is no answer of a Kubernetes API; "" when it is one."""
        if b"Traceback" in self.body or (self.status == 500 and b'"reason"' in self.body):
            return "a bug of the server's own"  # Kubernetes has a few 500s of its own; they give no reason
        if self.status < 400 or method == "HEAD" or self.body == NOBODYS:
            return ""
        try:
            status = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return "no Status at all"
        named = (status.get("kind"), status.get("status"), status.get("code")) == ("Status", "Failure", self.status)
        reasoned = status.get("reason") or self.status == 500
        return "" if named and status.get("message") and reasoned else "a Status that says nothing"


class Client:
    """Sends paths as they are written, which well-meaning libraries put right."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def ask(self, asked: Asked) -> Answer:
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": asked.accept, "Content-Type": asked.content_type}
        url = URL(self._url + asked.path, encoded=True)
        async with self._session.request(
            asked.method,
            url,
            data=asked.body,
            headers={name: value for name, value in headers.items() if value},
            skip_auto_headers=("Content-Type", "Accept"),
        ) as response:
            return Answer(response.status, response.headers.get("Content-Type", ""), await response.read())


@pytest.fixture
async def client(server: ApiServer) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, server.url)


def stored(server: ApiServer) -> dict[str, dict[Key, int]]:
    return {kind: {entry.key: entry.revision for entry in server.api.store.entries(kind)} for kind in LISTS}


async def test_every_request_is_answered_in_kubernetes_own_words_and_a_refusal_changes_nothing(
    server: ApiServer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await client.ask(Asked("POST", LISTS[CRDS], JSON, JSON, orjson.dumps(widget_crd(GROUP))))
    dice, served, refused = Dice(SEED), 0, 0
    for _ in range(REQUESTS):
        asked, before = dice.request(), stored(server)
        answer = await client.ask(asked)
        told = f"seed {SEED}: {asked}\n{answer.status} {answer.body[:500]!r}"
        assert not answer.problem(asked.method), f"{answer.problem(asked.method)}; {told}"
        served, refused = served + (answer.status < 400), refused + (answer.status >= 400)
        if answer.status >= 400 or asked.method in ("GET", "HEAD") or "dryRun=All" in asked.path:
            assert stored(server) == before, f"changed all the same; {told}"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert min(served, refused) > REQUESTS // 10, "both ways were taken"
    for kind, path in LISTS.items():
        for accept in (JSON, TABLE):
            answer = await client.ask(Asked("GET", path, "", accept, b""))
            assert answer.status == 200, (SEED, kind, answer.body[:500])
