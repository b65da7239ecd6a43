"""Selectors, pages, versions and shapes of what is read, and what of them makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.testing.api.objects import Obj, config_map, deployment, pod, service
from graylane.testing.api.rig import Rig, expect

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def names(listed: Obj) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


async def fill(api: Rig, ns: str, count: int) -> None:
    for number in range(count):
        await api.create(maps(ns), config_map(f"m{number:02}", labels={"mine": "yes", "n": str(number)}))


SELECTORS = {
    "n=1": ["m01"],
    "n = 1": ["m01"],
    "n==1,mine=yes": ["m01"],
    "n!=1": ["m00", "m02", "m03"],
    "n in (1,2)": ["m01", "m02"],
    "n in (1)": ["m01"],
    "n notin (1,2)": ["m00", "m03"],
    "n": ["m00", "m01", "m02", "m03"],
    "!n": [],
    "n in (), mine": [],
    "n in (1,2),n notin (2)": ["m01"],
    "example.com/x=y": [],
    "": ["m00", "m01", "m02", "m03"],
}


@pytest.mark.parametrize("selector", SELECTORS)
async def test_a_label_selector(api: Rig, ns: str, selector: str) -> None:
    await fill(api, ns, 4)
    query = (
        {"labelSelector": ",".join(part for part in (selector, "mine") if part)}
        if selector != "!n"
        else {"labelSelector": "mine,!n"}
    )
    assert names(await api.get(maps(ns), **query)) == SELECTORS[selector]


@pytest.mark.parametrize("selector", ["a in", "a in (b", "=b", "a=b=c", "a,,b", "a b", "a in b", "(a)", "-a=b"])
async def test_a_label_selector_that_is_none(api: Rig, ns: str, selector: str) -> None:
    answer = await api.call("GET", maps(ns), labelSelector=selector)
    assert (answer.status, answer.reason) == (400, "BadRequest"), answer.body


@pytest.mark.parametrize(
    "selector", ["data.a=1", "metadata.uid=x", "spec=x", "metadata.labels.a=b", "a in (b)", "metadata.name"]
)
async def test_a_field_selector_that_is_none(api: Rig, ns: str, selector: str) -> None:
    answer = await api.call("GET", maps(ns), fieldSelector=selector)
    assert (answer.status, answer.reason) == (400, "BadRequest"), answer.body


FIELDS: dict[str, tuple[str, Obj, str, str]] = {
    "a pod's service account": (
        "pods",
        pod("a", serviceAccountName="bot"),
        "spec.serviceAccountName=bot",
        "spec.serviceAccountName=x",
    ),
    "a pod's restart policy": (
        "pods",
        pod("a", restartPolicy="Never"),
        "spec.restartPolicy=Never",
        "spec.restartPolicy=Always",
    ),
    "a pod's scheduler": (
        "pods",
        pod("a", schedulerName="mine"),
        "spec.schedulerName=mine",
        "spec.schedulerName!=mine",
    ),
    "a pod's phase": ("pods", pod("a"), "status.phase=Pending", "status.phase=Running"),
    "a secret's type": ("secrets", {"metadata": {"name": "a"}, "type": "x/y"}, "type=x/y", "type=Opaque"),
    "a service's type": ("services", service("a", type="NodePort"), "spec.type=NodePort", "spec.type=ClusterIP"),
    "a headless service": ("services", service("a", clusterIP="None"), "spec.clusterIP=None", "spec.clusterIP!=None"),
    "two at once": ("pods", pod("a"), "metadata.name=a,status.phase!=Running", "metadata.name=a,status.phase!=Pending"),
}


@pytest.mark.parametrize("case", FIELDS)
async def test_a_field_selector(api: Rig, ns: str, case: str) -> None:
    kind, body, right, wrong = FIELDS[case]
    path = f"/api/v1/namespaces/{ns}/{kind}"
    if dig_account(body):
        await api.create(f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "bot"}})
    await api.create(path, body)
    assert names(await api.get(path, fieldSelector=right)) == ["a"]
    assert names(await api.get(path, fieldSelector=wrong)) == []


def dig_account(body: Obj) -> bool:
    return "serviceAccountName" in body.get("spec", {})


async def test_namespaces_are_selected_by_phase_and_name(api: Rig, ns: str) -> None:
    found = await api.get("/api/v1/namespaces", fieldSelector=f"metadata.name={ns},status.phase=Active")
    assert names(found) == [ns]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_pages_of_any_size_add_up(api: Rig, ns: str, limit: int) -> None:
    await fill(api, ns, 7)
    seen, token, pages = [], "", 0
    while pages == 0 or token:
        query: dict[str, Any] = {"labelSelector": "mine", "limit": limit} | ({"continue": token} if token else {})
        page = await api.get(maps(ns), **query)
        seen += names(page)
        token = page["metadata"].get("continue", "")
        pages += 1
    assert seen == [f"m{number:02}" for number in range(7)]
    assert pages == -(-7 // limit)


async def test_what_remains_is_only_told_without_a_selector(api: Rig, ns: str) -> None:
    await fill(api, ns, 4)
    assert "remainingItemCount" not in (await api.get(maps(ns), labelSelector="mine", limit=1))["metadata"]
    assert (await api.get(maps(ns), limit=1))["metadata"]["remainingItemCount"] >= 3


async def test_a_limit_of_nothing_is_no_limit(api: Rig, ns: str) -> None:
    await fill(api, ns, 3)
    assert len(names(await api.get(maps(ns), labelSelector="mine", limit=0))) == 3


NONSENSE: dict[str, dict[str, Any]] = {
    "a match without a version": {"resourceVersionMatch": "Exact"},
    "an unknown match": {"resourceVersion": "1", "resourceVersionMatch": "Roughly"},
    "exactly the beginning": {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
    "a watch with a match": {"watch": "true", "resourceVersion": "1", "resourceVersionMatch": "Exact"},
    "a stream with another match": {"watch": "true", "sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
    "a version that is no number": {"resourceVersion": "abc"},
    "a negative version": {"resourceVersion": "-1"},
    "a limit that is no number": {"limit": "x"},
    "a token that is none": {"limit": 1, "continue": "x"},
    "a timeout that is no number": {"watch": "true", "timeoutSeconds": "soon"},
    "initial events of a list": {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"},
}


@pytest.mark.parametrize("case", NONSENSE)
async def test_options_that_make_no_sense_are_refused(api: Rig, ns: str, case: str) -> None:
    answer = await api.call("GET", maps(ns), **NONSENSE[case])
    assert answer.status in (400, 422), (answer.status, answer.body)
    assert answer.json["status"] == "Failure"


@pytest.mark.parametrize("match", ["", "NotOlderThan", "Exact"])
async def test_a_version_yet_to_come_is_too_large(api: Rig, ns: str, match: str) -> None:
    query = {"resourceVersion": "99999999999"} | ({"resourceVersionMatch": match} if match else {})
    if match == "Exact":
        query["limit"] = "1"
    answer = await api.call("GET", maps(ns), **query)
    assert answer.status in (400, 504), answer.body
    assert "resource version" in answer.message.lower()


@pytest.mark.parametrize("version", ["0", ""])
async def test_a_list_not_older_than_nothing_is_the_present(api: Rig, ns: str, version: str) -> None:
    await fill(api, ns, 2)
    assert names(await api.get(maps(ns), labelSelector="mine", resourceVersion=version)) == ["m00", "m01"]


SHAPES = {
    "the object": ("application/json", "ConfigMap"),
    "yaml": ("application/yaml", "ConfigMap"),
    "anything": ("*/*", "ConfigMap"),
    "nothing said": ("", "ConfigMap"),
    "a table": (TABLE, "Table"),
    "an old table": ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", "Table"),
    "metadata": ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "PartialObjectMetadata"),
    "protobuf or json": ("application/vnd.kubernetes.protobuf,application/json", "ConfigMap"),
    "by quality": ("application/json;q=0.5,application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9", "Table"),
}


@pytest.mark.parametrize("case", SHAPES)
async def test_an_answer_has_the_shape_asked_for(api: Rig, ns: str, case: str) -> None:
    accept, kind = SHAPES[case]
    if not api.ours and "protobuf" in accept:
        pytest.skip("a real cluster answers in protobuf")
    await api.create(maps(ns), config_map("a"))
    answer = await api.call("GET", f"{maps(ns)}/a", accept=accept)
    assert answer.status == 200
    text = answer.body.decode()
    assert f'"kind":"{kind}"' in text or f"kind: {kind}" in text


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "application/json;as=Poem;v=v1;g=meta.k8s.io", "image/*"]
)
async def test_a_shape_that_is_unknown_is_not_acceptable(api: Rig, ns: str, accept: str) -> None:
    answer = await api.call("GET", maps(ns), accept=accept)
    assert (answer.status, answer.reason) == (406, "NotAcceptable")


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("api/v1 pods", ["Name", "Ready", "Status", "Restarts", "Age"]),
        ("api/v1 services", ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age"]),
        ("api/v1 configmaps", ["Name", "Data", "Age"]),
        ("api/v1 secrets", ["Name", "Type", "Data", "Age"]),
        ("apis/apps/v1 deployments", ["Name", "Ready", "Up-to-date", "Available", "Age"]),
        ("apis/apps/v1 replicasets", ["Name", "Desired", "Current", "Ready", "Age"]),
        ("apis/apps/v1 statefulsets", ["Name", "Ready", "Age"]),
        ("apis/batch/v1 jobs", ["Name", "Status", "Completions", "Duration", "Age"]),
        ("apis/networking.k8s.io/v1 ingresses", ["Name", "Class", "Hosts", "Address", "Ports", "Age"]),
        ("apis/rbac.authorization.k8s.io/v1 roles", ["Name", "Created At"]),
        ("apis/coordination.k8s.io/v1 leases", ["Name", "Holder", "Age"]),
    ],
    ids=lambda part: part.split()[1] if isinstance(part, str) else "",
)
async def test_the_columns_of_a_kind(api: Rig, ns: str, kind: str, columns: list[str]) -> None:
    root, plural = kind.split()
    table = expect(await api.call("GET", f"/{root}/namespaces/{ns}/{plural}", accept=TABLE), 200)
    shown = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert shown == columns


@pytest.mark.parametrize("include", ["None", "Metadata", "Object"])
async def test_rows_carry_what_was_asked_for(api: Rig, ns: str, include: str) -> None:
    await api.create(maps(ns), config_map("a", labels={"mine": "yes"}))
    answer = await api.call("GET", maps(ns), accept=TABLE, includeObject=include, labelSelector="mine")
    row = expect(answer, 200)["rows"][0]
    assert (("object" in row and row["object"]) or {}).get("kind") == {
        "None": None,
        "Metadata": "PartialObjectMetadata",
        "Object": "ConfigMap",
    }[include]


PATHS = {
    "a kind that is not": "/api/v1/gizmos",
    "a version that is not": "/apis/apps/v7/deployments",
    "a group that is not": "/apis/gizmo.example.com/v1/gizmos",
    "a subresource that is not": "/api/v1/namespaces/default/configmaps/a/status",
    "too deep": "/api/v1/namespaces/default/pods/a/log/b/c",
    "a namespace of a kind that has none": "/api/v1/namespaces/default/nodes",
    "nowhere": "/nowhere/at/all",
}


@pytest.mark.parametrize("case", PATHS)
async def test_what_is_not_there_is_not_found(api: Rig, case: str) -> None:
    answer = await api.call("GET", PATHS[case])
    assert answer.status == 404
    if PATHS[case].startswith(("/api/", "/apis/apps")):
        assert (answer.json["kind"], answer.reason) == ("Status", "NotFound")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/namespaces/{ns}/configmaps/a"),
        ("PUT", "/api/v1/namespaces/{ns}/configmaps"),
        ("PATCH", "/api/v1/namespaces/{ns}/configmaps"),
        ("DELETE", "/apis/apps/v1/namespaces/{ns}/deployments/a/scale"),
        ("POST", "/version"),
        ("TRACE", "/api/v1/namespaces/{ns}/configmaps"),
    ],
)
async def test_a_method_without_meaning_is_not_allowed(api: Rig, ns: str, method: str, path: str) -> None:
    await api.create(maps(ns), config_map("a"))
    await api.create(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("a"))
    answer = await api.call(method, path.format(ns=ns), config_map("a"))
    assert answer.status in (403, 405), answer.body
    assert answer.json["kind"] == "Status"
