"""Which certificate an HTTPS listener shows, and what it says when there is none it may show."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.mesh.gatewayapi.certificates import MODE
from graylane.model.kinds import GATEWAY, KUBE_GATEWAY, REFERENCE_GRANT, SECRET
from graylane.model.meta import Obj, dig
from graylane.testing.world import World
from tests.e2e.certificates import Authority

from .test_statuses import LISTENER, gateway, of_gateway, of_listener, settle, world

__all__ = ["world"]

PAIR = Authority().pair("a.example")
HERE = {"name": "cert"}
AWAY = {"name": "cert", "namespace": "vault"}


def secure(*refs: Obj, **options: str) -> Obj:
    tls: Obj = {"certificateRefs": list(refs)}
    return {"name": "secure", "port": 443, "protocol": "HTTPS", "tls": tls | ({"options": options} if options else {})}


def secret(namespace: str = "shop") -> Obj:
    return PAIR.secret("cert", namespace)


def made(world: World) -> list[Obj]:
    return [server for obj in world.list(GATEWAY) for server in obj["spec"]["servers"] if server.get("tls")]


def test_a_listener_shows_the_certificate_it_refers_to(world: World) -> None:
    world.put(SECRET, secret())
    world.put(KUBE_GATEWAY, gateway(LISTENER, {**secure(HERE), "hostname": "a.example"}))
    settle(world)
    assert of_listener(world, "ResolvedRefs", 1) == ("True", "ResolvedRefs")
    assert of_listener(world, "Programmed", 1) == ("True", "Programmed")
    (server,) = made(world)
    assert server == {
        "port": {"number": 443, "name": "default", "protocol": "HTTPS"},
        "hosts": ["*/a.example"],
        "tls": {"mode": "SIMPLE", "credentialName": "kubernetes-gateway://shop/cert"},
    }


REFUSED: dict[str, tuple[Any, ...]] = {
    "none at all": (),
    "several": (HERE, HERE),
    "one that is not there": ({"name": "none"},),
    "another kind": ({**HERE, "kind": "ConfigMap"},),
    "another group": ({**HERE, "group": "example.com"},),
}


@pytest.mark.parametrize("refs", REFUSED.values(), ids=REFUSED)
def test_a_certificate_that_cannot_be_had_keeps_its_listener_closed_and_no_other(
    world: World, refs: tuple[Obj, ...]
) -> None:
    world.put(SECRET, secret())
    world.put(KUBE_GATEWAY, gateway(LISTENER, secure(*refs)))
    settle(world)
    assert of_listener(world, "ResolvedRefs", 1) == ("False", "InvalidCertificateRef")
    assert of_listener(world, "Accepted", 1) == ("True", "Accepted")
    assert of_listener(world, "Programmed", 1) == ("False", "Invalid")
    assert of_listener(world, "Programmed") == ("True", "Programmed")
    assert of_gateway(world, "Accepted") == ("True", "Accepted")
    assert made(world) == []


def test_a_malformed_certificate_is_told_and_taken_once_it_is_mended(world: World) -> None:
    bad = secret()
    world.put(SECRET, {**bad, "data": {**bad["data"], "tls.crt": "SGVsbG8="}})
    world.put(KUBE_GATEWAY, gateway(secure(HERE)))
    settle(world)
    assert of_listener(world, "ResolvedRefs") == ("False", "InvalidCertificateRef")
    message = dig(world.get(KUBE_GATEWAY, "shop", "front"), "status", "listeners", 0, "conditions", 3, "message")
    assert message == "Secret shop/cert cannot be used: its certificate is not PEM"
    world.put(SECRET, secret())
    settle(world)
    assert of_listener(world, "ResolvedRefs") == ("True", "ResolvedRefs")


def grant(**target: str) -> Obj:
    source = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "shop"}
    spec = {"from": [source], "to": [{"group": "", "kind": "Secret", **target}]}
    return {"metadata": {"name": "g", "namespace": "vault"}, "spec": spec}


@pytest.mark.parametrize(
    ("granted", "reason"),
    [
        (None, "RefNotPermitted"),
        (grant(), "ResolvedRefs"),
        (grant(name="cert"), "ResolvedRefs"),
        (grant(name="other"), "RefNotPermitted"),
        (grant(kind="Service"), "RefNotPermitted"),
        ({**grant(), "metadata": {"name": "g", "namespace": "elsewhere"}}, "RefNotPermitted"),
    ],
)
def test_a_secret_of_another_namespace_needs_a_grant_beside_it(world: World, granted: Obj | None, reason: str) -> None:
    world.put(SECRET, secret("vault"))
    world.put(KUBE_GATEWAY, gateway(secure(AWAY)))
    if granted:
        world.put(REFERENCE_GRANT, granted)
    settle(world)
    assert of_listener(world, "ResolvedRefs") == ("True" if reason == "ResolvedRefs" else "False", reason)
    assert len(made(world)) == (reason == "ResolvedRefs")


def test_options_choose_mutual_tls_and_those_of_others_are_named(world: World) -> None:
    world.put(SECRET, secret())
    world.put(KUBE_GATEWAY, gateway(secure(HERE, **{MODE: "MUTUAL", "example.com/curves": "x"})))
    settle(world)
    assert made(world)[0]["tls"]["mode"] == "MUTUAL"
    accepted = dig(world.get(KUBE_GATEWAY, "shop", "front"), "status", "listeners", 0, "conditions", 0)
    assert accepted["message"] == "tls.options example.com/curves are not acted on here"
    world.put(KUBE_GATEWAY, gateway(secure(HERE, **{MODE: "ISTIO_MUTUAL"})))
    settle(world)
    assert of_listener(world, "ResolvedRefs") == ("False", "InvalidCertificateRef")
