"""Environment, command lines, images, addresses and refusals: values in, values out."""

from __future__ import annotations

import base64
from ipaddress import IPv4Network
from typing import Any

import pytest

from graylane.cluster.kubelet.addresses import AddressesExhausted, gateway_address, next_address
from graylane.cluster.kubelet.downward import ConfigProblem, Place
from graylane.cluster.kubelet.environment import environment, expand, sources_of
from graylane.cluster.kubelet.images import parse_catalogue, unknown_image
from graylane.cluster.kubelet.support import refusals
from graylane.errors import UserError
from graylane.model.kinds import CONFIG_MAP, SECRET
from graylane.model.meta import Obj

POD: Obj = {
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "u1",
        "labels": {"app": "web", "a.b/c": 'x"y'},
        "annotations": {"note": "hi"},
    },
    "spec": {},
}
PLACE = Place("127.20.0.2", "127.0.0.1", "graylane", {"cpu": 2, "memory": 1 << 30})
OBJECTS = {
    (CONFIG_MAP, "cfg"): {"data": {"color": "red", "not a name": "x"}, "binaryData": {"raw": "AAE="}},
    (SECRET, "pwd"): {"data": {"password": base64.b64encode(b"s3cret").decode()}},
}


def resolved(*env: Obj, env_from: list[Obj] | None = None) -> dict[str, str]:
    container = {"env": list(env), "envFrom": env_from or []}
    wanted = {source: OBJECTS[source] for source in sources_of(container) if source in OBJECTS}
    return environment(POD, container, PLACE, wanted, {"BASE": "b"})


def ref(name: str, **source: Any) -> Obj:
    return {"name": name, "valueFrom": source}


def test_values_may_use_what_was_defined_before() -> None:
    env = resolved({"name": "A", "value": "$(BASE)-$(LATER)"}, {"name": "LATER", "value": "$$(A)$(A)$"})
    assert env == {"BASE": "b", "A": "b-$(LATER)", "LATER": "$(A)b-$(LATER)$"}
    assert expand("$(A", env) == "$(A"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['note']", "hi"),
        ("metadata.labels", 'a.b/c="x\\"y"\napp="web"'),
        ("status.podIP", "127.20.0.2"),
        ("status.hostIP", "127.0.0.1"),
        ("spec.nodeName", "graylane"),
    ],
)
def test_the_downward_api(path: str, value: str) -> None:
    assert resolved(ref("X", fieldRef={"fieldPath": path}))["X"] == value


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", None, "1"),
        ("limits.cpu", "1m", "250"),
        ("requests.cpu", "1m", "250"),
        ("requests.memory", None, "100000000"),
        ("requests.memory", "1Mi", "96"),
        ("limits.memory", "1Mi", "1024"),
        ("limits.ephemeral-storage", None, "0"),
    ],
)
def test_resources_are_told_in_units_of_a_divisor_rounded_up(resource: str, divisor: str | None, value: str) -> None:
    """What has no limit may use what the node has."""
    container = {
        "resources": {"limits": {"cpu": "250m"}, "requests": {"memory": "100M"}},
        "env": [ref("X", resourceFieldRef={"resource": resource} | ({"divisor": divisor} if divisor else {}))],
    }
    assert environment(POD, container, PLACE, {}, {}) == {"X": value}


def test_resources_of_another_container_are_told_too() -> None:
    other = {"name": "other", "resources": {"limits": {"cpu": "3"}}}
    entry = ref("X", resourceFieldRef={"containerName": "other", "resource": "limits.cpu"})
    pod = POD | {"spec": {"containers": [other]}}
    assert environment(pod, {"env": [entry]}, PLACE, {}, {}) == {"X": "3"}
    with pytest.raises(ConfigProblem, match="no container 'other'"):
        environment(POD, {"env": [entry]}, PLACE, {}, {})


def test_config_maps_and_secrets_by_key_and_whole() -> None:
    env = resolved(
        ref("COLOR", configMapKeyRef={"name": "cfg", "key": "color"}),
        ref("PASSWORD", secretKeyRef={"name": "pwd", "key": "password"}),
        ref("NONE", configMapKeyRef={"name": "none", "key": "x", "optional": True}),
        env_from=[{"prefix": "P_", "configMapRef": {"name": "cfg"}}, {"secretRef": {"name": "pwd"}}],
    )
    assert env == {
        "BASE": "b",
        "COLOR": "red",
        "PASSWORD": "s3cret",
        "P_color": "red",
        "P_raw": "\x00\x01",
        "password": "s3cret",
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ref("X", configMapKeyRef={"name": "none", "key": "x"}), 'configmap "none" not found'),
        (ref("X", secretKeyRef={"name": "pwd", "key": "x"}), "couldn't find key x in Secret shop/pwd"),
        (ref("X", fieldRef={"fieldPath": "spec.x"}), "fieldRef 'spec.x' is not supported"),
    ],
)
def test_what_is_missing_is_named(entry: Obj, message: str) -> None:
    with pytest.raises(ConfigProblem, match=message):
        resolved(entry)


CATALOGUE = """
images:
- match: "reg/shop/web:2*"
  command: ["{python}", "two"]
- match: "reg/shop/*"
  command: ["any"]
- match: "nginx"
  command: ["nginx"]
"""


@pytest.mark.parametrize(
    ("reference", "command"),
    [("reg/shop/web:2.1", "py"), ("reg/shop/web:1", "any"), ("nginx:latest", "nginx"), ("nginx", "nginx")],
)
def test_the_first_matching_image_gives_the_command(reference: str, command: str) -> None:
    image = parse_catalogue(CATALOGUE, "x", {"python": "py"}).find(reference)
    assert image is not None
    assert image.command[0] == command


def test_an_unknown_image_is_told_with_the_lines_to_write() -> None:
    assert parse_catalogue(CATALOGUE, "x", {}).find("nginx:1.2") is None
    text = unknown_image("nginx:1.2", "main", "/data/images.yaml")
    entry = text[text.index("add - ") + 4 : text.index(" to the list images:")]
    assert parse_catalogue(f"images:\n{entry}", "x", {}).find("nginx:1.2") is not None, "what it says to write works"
    assert "/data/images.yaml" in text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x: [", "f.yaml: not YAML"),
        ("- a", "must hold a list named images"),
        ("images: [{match: a, command: run}]", r"f.yaml: images\[0\]: command must be a list of words"),
        ("images: [{match: a, command: [run], cmd: x}]", "unknown field cmd"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        parse_catalogue(text, "f.yaml", {})


def test_addresses_go_round_and_never_twice() -> None:
    network = IPv4Network("127.20.0.0/29")
    assert str(gateway_address(network)) == "127.20.0.1"
    taken: list[str] = []
    for _ in range(5):
        taken.append(next_address(network, taken, taken[-1] if taken else ""))
    assert taken == [f"127.20.0.{n}" for n in (2, 3, 4, 5, 6)]
    assert next_address(network, taken[1:], "127.20.0.6") == "127.20.0.2"
    assert next_address(network, [], "127.20.0.2") == "127.20.0.3", "a freed address rests as long as possible"
    with pytest.raises(AddressesExhausted):
        next_address(network, taken, "")


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        ({"volumes": [{"name": "d", "nfs": {"path": "/"}}]}, "nfs volumes are not supported; use emptyDir, "),
        (
            {"volumes": [{"name": "d", "projected": {"sources": [{"clusterTrustBundle": {}}]}}]},
            "clusterTrustBundle cannot be projected; use configMap, ",
        ),
        ({"initContainers": [{"name": "s", "restartPolicy": "Never"}]}, r"initContainers\[0\].restartPolicy: Never is"),
        ({"containers": [{"name": "s", "restartPolicyRules": [{}]}]}, "restartPolicyRules: is not supported"),
        ({"containers": [{"livenessProbe": {"periodSeconds": 1}}]}, "livenessProbe: it has no handler"),
        ({"containers": [{"readinessProbe": {"httpGet": {"port": "web"}}}]}, "port 'web' is neither a number nor"),
        ({"containers": [{"env": [ref("X", fileKeyRef={})]}]}, "valueFrom.fileKeyRef is not supported; use fieldRef, "),
        ({"containers": [{"volumeMounts": [{"name": "d"}]}]}, "there is no volume 'd'"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(spec: Obj, refusal: str) -> None:
    import re

    (found,) = refusals({"spec": spec})
    assert re.search(refusal, found)
