"""Built-in kinds: what is filled in and what is refused, on whole manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.cluster.apiserver.schema import defaults, validate
from graylane.cluster.apiserver.schema.schemas import Schemas

EXAMPLES = Path(__file__).parents[3] / "examples/end-to-end-canary"
POD_SPEC: dict[str, Any] = {"containers": [{"name": "a", "image": "registry:5000/app"}]}


def complete(group: str, kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    filled = defaults.apply(group, kind, obj)
    assert defaults.apply(group, kind, filled) is filled, "defaulting twice is not defaulting once"
    return filled


def deployment(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": POD_SPEC}
    whole = {"selector": {"matchLabels": {"app": "a"}}, "template": template, **spec}
    return complete("apps", "Deployment", {"metadata": {"name": "web"}, "spec": whole})


def service(**spec: Any) -> dict[str, Any]:
    return complete("", "Service", {"metadata": {"name": "web"}, "spec": spec})


def pod(**spec: Any) -> dict[str, Any]:
    return complete("", "Pod", {"metadata": {"name": "web"}, "spec": {**POD_SPEC, **spec}})


def container(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "a", "image": "b:1", **fields}])


def errors(group: str, kind: str, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    return [str(error) for error in validate.builtin(group, kind, obj, old)]


def test_the_scenario_needs_no_correction() -> None:
    for path in sorted(EXAMPLES.glob("*.yaml")):
        for obj in yaml.safe_load_all(path.read_text()):
            group, _, version = obj["apiVersion"].rpartition("/")
            structural = Schemas.load().of(group, version, obj["kind"])
            if structural is not None:
                filled = complete(group, obj["kind"], obj)
                assert structural.check(filled) == []
                assert structural.unknown(filled) == []
                assert errors(group, obj["kind"], filled) == []


def test_a_deployment_is_filled_in_as_kubernetes_fills_it_in() -> None:
    spec = deployment()["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    filled = spec["template"]["spec"]
    assert filled["terminationGracePeriodSeconds"] == 30
    assert filled["securityContext"] == {}
    assert filled["containers"] == [
        {
            "name": "a",
            "image": "registry:5000/app",
            "imagePullPolicy": "Always",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }
    ]


def test_recreate_gains_no_rolling_update() -> None:
    assert deployment(strategy={"type": "Recreate"})["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("app", "Always"),
        ("app:latest", "Always"),
        ("app:1", "IfNotPresent"),
        ("host:5000/app", "Always"),
        ("app@sha256:0", "IfNotPresent"),
    ],
)
def test_the_tag_decides_the_pull_policy(image: str, policy: str) -> None:
    assert container(image=image)["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_a_service_port_targets_itself() -> None:
    spec = service(ports=[{"port": 80}], type="NodePort")["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["sessionAffinity"], spec["internalTrafficPolicy"], spec["externalTrafficPolicy"]) == (
        "None",
        "Cluster",
        "Cluster",
    )


def test_string_data_of_a_secret_is_encoded_and_forgotten() -> None:
    filled = complete("", "Secret", {"stringData": {"a": "ü"}, "data": {"b": "eA=="}})
    assert filled == {"type": "Opaque", "data": {"a": "w7w=", "b": "eA=="}}


def test_a_namespace_carries_its_name_as_a_label() -> None:
    filled = complete("", "Namespace", {"metadata": {"name": "shop"}})
    assert filled["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    assert filled["spec"] == {"finalizers": ["kubernetes"]}


def test_limits_become_requests_of_pods_only() -> None:
    resources = {"resources": {"limits": {"cpu": "1"}}}
    assert container(**resources)["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}
    template = {"spec": {"containers": [{"name": "a", "image": "b", **resources}]}}
    assert "requests" not in deployment(template=template)["spec"]["template"]["spec"]["containers"][0]["resources"]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (
            {"selector": {"matchLabels": {"app": "b"}}},
            'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
        ),
        ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
        (
            {"progressDeadlineSeconds": 5, "minReadySeconds": 5},
            "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
        ),
        (
            {"template": {"metadata": {"labels": {"app": "a"}}, "spec": {**POD_SPEC, "restartPolicy": "Never"}}},
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
    ],
)
def test_a_deployment_is_refused(spec: dict[str, Any], error: str) -> None:
    assert errors("apps", "Deployment", deployment(**spec)) == [error]


def test_a_deployment_without_a_selector_selects_nothing() -> None:
    assert errors("apps", "Deployment", deployment(selector=None)) == [
        "spec.selector: Required value",
        'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
    ]


def test_a_selector_is_for_ever() -> None:
    both = {"app": "a", "x": "y"}
    template = {"metadata": {"labels": both}, "spec": POD_SPEC}
    new = deployment(selector={"matchLabels": both}, template=template)
    assert errors("apps", "Deployment", new, deployment()) == [
        'spec.selector: Invalid value: {"matchLabels":{"app":"a","x":"y"}}: field is immutable'
    ]


@pytest.mark.parametrize(
    ("obj", "error"),
    [
        (pod(containers=[]), "spec.containers: Required value"),
        (container(name=""), "spec.containers[0].name: Required value"),
        (container(image=""), "spec.containers[0].image: Required value"),
        (
            pod(containers=[{"name": "a", "image": "b"}, {"name": "a", "image": "b"}]),
            'spec.containers[1].name: Duplicate value: "a"',
        ),
        (
            container(ports=[{"containerPort": 70000}]),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            container(ports=[{"containerPort": 1, "protocol": "HTTP"}]),
            'spec.containers[0].ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"',
        ),
        (
            container(env=[{"name": "a=b"}]),
            'spec.containers[0].env[0].name: Invalid value: "a=b": a valid environment variable name must consist '
            "only of printable ASCII characters other than '='",
        ),
        (
            container(env=[{"name": "A", "valueFrom": {}}]),
            'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, '
            "`resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        ),
        (
            container(volumeMounts=[{"name": "v", "mountPath": "/x"}]),
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (container(livenessProbe={}), "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
        (
            container(livenessProbe={"exec": {"command": ["x"]}, "successThreshold": 2}),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "1500m"}}),
            'spec.containers[0].resources.requests: Invalid value: "1500m": must be less than or equal to cpu limit '
            "of 1",
        ),
        (
            pod(restartPolicy="Sometimes"),
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        ),
    ],
)
def test_a_pod_is_refused(obj: dict[str, Any], error: str) -> None:
    assert errors("", "Pod", obj) == [error]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({}, "spec.ports: Required value"),
        ({"ports": [{"port": 1}, {"port": 2, "name": "b"}]}, "spec.ports[0].name: Required value"),
        (
            {"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]},
            'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":1}',
        ),
        (
            {"ports": [{"port": 1}], "type": "Magic"},
            'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
            '"NodePort"',
        ),
        (
            {"ports": [{"port": 1, "nodePort": 30000}]},
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        ({"type": "ExternalName"}, "spec.externalName: Required value"),
        (
            {"ports": [{"port": 1}], "clusterIP": "x"},
            'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
    ],
)
def test_a_service_is_refused(spec: dict[str, Any], error: str) -> None:
    assert errors("", "Service", service(**spec)) == [error]


def test_an_immutable_config_map_stays() -> None:
    old = {"data": {"a": "1"}, "immutable": True}
    assert errors("", "ConfigMap", {"data": {"a": "2"}, "immutable": True}, old) == [
        "data: Forbidden: field is immutable when `immutable` is set"
    ]
    assert "a valid config key must consist of" in errors("", "ConfigMap", {"data": {"a/b": ""}})[0]


def definition(**version: Any) -> dict[str, Any]:
    names = {"plural": "widgets", "kind": "Widget"}
    whole = {"name": "v1", "served": True, "storage": True, **version}
    return complete(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        {"spec": {"group": "acme.io", "scope": "Namespaced", "names": names, "versions": [whole]}},
    )


@pytest.mark.parametrize(
    ("version", "error"),
    [
        ({}, "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"),
        (
            {"schema": {"openAPIV3Schema": {}}},
            "spec.versions[0].schema.openAPIV3Schema.type: Required value: must not be empty at the root",
        ),
        (
            {"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {}}}}},
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for "
            "specified object fields",
        ),
        (
            {
                "schema": {"openAPIV3Schema": {"type": "object"}},
                "additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": "spec"}],
            },
            "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: \"spec\": JSONPath 'spec': 'spec' "
            "is none of .field, [n], [*] and [?(@.x==y)]",
        ),
        (
            {"schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string", "default": 1}}}}},
            "spec.versions[0].schema.openAPIV3Schema.properties[a].default: Invalid value: 1: Invalid value: "
            '"integer": default in body must be of type string: "integer"',
        ),
    ],
)
def test_a_definition_is_refused(version: dict[str, Any], error: str) -> None:
    obj = definition(**version)
    assert errors("apiextensions.k8s.io", "CustomResourceDefinition", obj) == [error]


def test_a_webhook_needs_a_place_to_call() -> None:
    hook = {"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {}}
    kind = "ValidatingWebhookConfiguration"
    obj = complete("admissionregistration.k8s.io", kind, {"webhooks": [hook]})
    assert errors("admissionregistration.k8s.io", kind, obj) == [
        "webhooks[0].clientConfig: Required value: exactly one of url or service is required"
    ]
