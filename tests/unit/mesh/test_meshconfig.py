"""What is read of Istio's ConfigMap, what of it is told not to be acted on, and that nonsense changes nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
import yaml

from graylane.kit.effects import Event
from graylane.kit.world import World
from graylane.mesh import meshconfig
from graylane.mesh.inputs import MeshConfig
from graylane.model.kinds import CONFIG_MAP
from graylane.model.meta import Key, Obj

BASE = MeshConfig(access_log="/dev/stdout", connect_timeout=10.0)
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def config_map(text: str, name: str = "istio") -> Obj:
    return {"metadata": {"name": name, "namespace": "istio-system"}, "data": {"mesh": text}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", BASE),
        ("outboundTrafficPolicy: {mode: REGISTRY_ONLY}", replace(BASE, registry_only=True)),
        ("outboundTrafficPolicy: {mode: ALLOW_ANY}", BASE),
        ("outboundTrafficPolicy: {}", BASE),
        ("defaultVirtualServiceExportTo: ['.']", replace(BASE, export_virtual_services=(".",))),
        ("defaultDestinationRuleExportTo: [., prod]", replace(BASE, export_destination_rules=(".", "prod"))),
        ("defaultServiceExportTo: ['~']", replace(BASE, export_services=("~",))),
        ("rootNamespace: mesh-root", replace(BASE, root_namespace="mesh-root")),
        ("connectTimeout: 1m30s", replace(BASE, connect_timeout=90.0)),
        ("defaultHttpRetryPolicy: {attempts: 0}", replace(BASE, retries=())),
        (
            "defaultHttpRetryPolicy: {attempts: 4, retryOn: 5xx, perTryTimeout: 2s}",
            replace(BASE, retries=(("attempts", "4"), ("perTryTimeout", "2s"), ("retryOn", "5xx"))),
        ),
        ("accessLogFile: ''", replace(BASE, access_log="")),
        ("accessLogFile: /dev/stdout", BASE),
    ],
)
def test_a_field_that_is_written_takes_the_place_of_what_held(text: str, expected: MeshConfig) -> None:
    found = meshconfig.read(config_map(text), BASE)
    assert (found.mesh, found.ignored, found.fault) == (expected, (), "")


def test_without_the_config_map_or_its_key_the_base_holds() -> None:
    assert meshconfig.read(None, BASE).mesh is BASE
    assert meshconfig.read({"metadata": {}, "data": {"meshNetworks": "networks: {}"}}, BASE).mesh is BASE


def test_what_istioctl_installs_is_read_and_the_rest_of_it_named() -> None:
    written = {
        "accessLogFile": "/var/log/envoy.log",
        "defaultConfig": {"discoveryAddress": "istiod.istio-system.svc:15012"},
        "enablePrometheusMerge": True,
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY", "stray": 1},
        "rootNamespace": "istio-system",
        "trustDomain": "cluster.local",
    }
    found = meshconfig.read(config_map(yaml.safe_dump(written)), BASE)
    assert found.mesh == replace(BASE, registry_only=True)
    assert set(found.ignored) == {
        "mesh.accessLogFile /var/log/envoy.log",
        "mesh.defaultConfig",
        "mesh.enablePrometheusMerge",
        "mesh.outboundTrafficPolicy.stray",
        "mesh.trustDomain",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [b", "data.mesh is no YAML in line 2"),
        ("- a", "data.mesh must be a mapping"),
        ("outboundTrafficPolicy: REGISTRY_ONLY", "mesh.outboundTrafficPolicy must be a mapping"),
        ("outboundTrafficPolicy: {mode: SOME}", "mesh.outboundTrafficPolicy.mode 'SOME' must be one of"),
        ("defaultServiceExportTo: .", "mesh.defaultServiceExportTo must be a list"),
        ("defaultServiceExportTo: [1]", "mesh.defaultServiceExportTo must be a list"),
        ("rootNamespace: []", "mesh.rootNamespace must be the name of a namespace"),
        ("connectTimeout: soon", "mesh.connectTimeout 'soon' must be a duration above 0"),
        ("defaultHttpRetryPolicy: {attempts: many}", "mesh.defaultHttpRetryPolicy.attempts 'many' must be a number"),
        ("defaultHttpRetryPolicy: {attempts: 1, perTryTimeout: x}", "mesh.defaultHttpRetryPolicy.perTryTimeout 'x'"),
    ],
)
def test_what_cannot_be_read_changes_nothing_and_says_why(text: str, told: str) -> None:
    found = meshconfig.read(config_map("rootNamespace: other\n" + text if ": " in text else text), BASE)
    assert found.mesh is None
    assert found.fault.startswith(told)


def events(obj: Obj) -> list[tuple[str, str, str]]:
    world = World()
    world.put(CONFIG_MAP, obj)
    told = meshconfig.reconcile(world.view(), Key("istio-system", obj["metadata"]["name"]), NOW).effects
    return [(each.type, each.reason, each.message) for each in told if isinstance(each, Event)]


def test_the_config_map_has_an_event_that_names_what_is_not_acted_on() -> None:
    (told,) = events(config_map("trustDomain: t\nconnectTimeout: 1s\nenableTracing: true"))
    assert told == (
        "Warning",
        "FieldNotActedOn",
        "not acted on by this mesh: mesh.trustDomain, mesh.enableTracing",
    )
    (told,) = events(config_map("connectTimeout: soon"))
    assert told[:2] == ("Warning", "InvalidMeshConfig")
    assert "what held before goes on" in told[2]
    assert events(config_map("connectTimeout: 1s")) == []
    assert events(config_map("connectTimeout: soon", name="other")) == []
