"""What else people type: one test per group of kubectl's commands, against an API server without controllers."""

from __future__ import annotations

import asyncio
import json
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.testing.api.objects import config_map, deployment, pod, service, widget, widget_crd
from tests.e2e.clients.cluster import Cluster
from tests.e2e.clients.conftest import serving
from tests.e2e.kubectls import BINARIES, DEADLINE, Kubectl, binary_of, every_kubectl

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("cluster")
    with serving(directory):
        yield Cluster.of(directory)


@pytest.fixture(params=BINARIES)
def kubectl(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Kubectl:
    """In a namespace of the test's own, which is its context's."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.post("/api/v1/namespaces", {"metadata": {"name": name}})
    document = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    document["contexts"][0]["context"]["namespace"] = name
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(document))
    return Kubectl(tmp_path, binary_of(request.param))


def loaded(text: str) -> Any:
    return json.loads(text)


# create by generator: protobuf bodies, no discovery

GENERATORS = {
    "configmap": ("configmap", "x", "--from-literal=a=b"),
    "cronjob": ("cronjob", "x", "--image=x:1", "--schedule=* * * * *"),
    "clusterrole": ("clusterrole", "x", "--verb=get,list", "--resource=pods,deployments.apps"),
    "clusterrolebinding": ("clusterrolebinding", "x", "--clusterrole=view", "--user=ann"),
    "deployment": ("deployment", "x", "--image=x:1", "--replicas=2", "--port=80"),
    "ingress": ("ingress", "x", "--rule=a.example/path*=svc:80", "--class=nginx"),
    "job": ("job", "x", "--image=x:1", "--", "sleep", "1"),
    "poddisruptionbudget": ("pdb", "x", "--selector=app=web", "--min-available=50%"),
    "priorityclass": ("priorityclass", "x", "--value=7", "--description=high"),
    "resourcequota": ("quota", "x", "--hard=cpu=1,pods=2"),
    "role": ("role", "x", "--verb=get", "--resource=pods", "--resource-name=a"),
    "rolebinding": ("rolebinding", "x", "--role=x", "--serviceaccount=default:default"),
    "secret-docker": ("secret", "docker-registry", "x", "--docker-username=u", "--docker-password=p"),
    "secret-generic": ("secret", "generic", "x", "--from-literal=a=b"),
    "service-clusterip": ("service", "clusterip", "x", "--tcp=80:8080"),
    "service-externalname": ("service", "externalname", "x", "--external-name=a.example"),
    "service-loadbalancer": ("service", "loadbalancer", "x", "--tcp=80"),
    "service-nodeport": ("service", "nodeport", "x", "--tcp=80:8080"),
    "serviceaccount": ("serviceaccount", "x"),
}
CLUSTER_WIDE = ("clusterrole", "clusterrolebinding", "priorityclass")


@pytest.mark.parametrize("generator", GENERATORS)
async def test_create_by_generator_stores_what_the_client_would_print(kubectl: Kubectl, generator: str) -> None:
    kind = generator.partition("-")[0]
    name = f"x-{uuid.uuid4().hex[:6]}" if generator in CLUSTER_WIDE else "x"
    command = ["create", *(name if word == "x" else word for word in GENERATORS[generator])]
    dashes = command.index("--") if "--" in command else len(command)
    printed = loaded(await kubectl.ok(*command[:dashes], "--dry-run=client", "-o", "json", *command[dashes:]))
    rehearsed = await kubectl.ok(*command[:dashes], "--dry-run=server", "-o", "name", *command[dashes:])
    assert "not found" in await kubectl.fails("get", kind, name)
    assert rehearsed.endswith(f"/{name}")
    await kubectl.ok(*command)
    stored = loaded(await kubectl.ok("get", kind, name, "-o", "json"))
    for field in ("spec", "data", "rules", "roleRef", "subjects", "value", "type"):
        assert _holds(stored.get(field), printed.get(field)), (field, stored.get(field), printed.get(field))


def _holds(stored: Any, printed: Any) -> bool:
    """Everything that was printed is there; the server may have added, and need not keep what is empty."""
    if isinstance(printed, dict) and isinstance(stored, dict):
        return all(_holds(stored.get(name), value) for name, value in printed.items())
    if isinstance(printed, list) and isinstance(stored, list):
        return len(stored) == len(printed) and all(map(_holds, stored, printed))
    empty = not any(printed.values()) if isinstance(printed, dict) else printed in (None, "")
    return empty or bool(stored == printed)


# reading


@every_kubectl
async def test_get_in_every_output(kubectl: Kubectl) -> None:
    await kubectl.apply(config_map("a", {"k": "v"}), config_map("b"), pod("p"))
    get = ("get", "configmap", "a", "-o")
    assert loaded(await kubectl.ok(*get, "json"))["data"] == {"k": "v"}
    assert yaml.safe_load(await kubectl.ok(*get, "yaml"))["kind"] == "ConfigMap"
    assert await kubectl.ok(*get, "name") == "configmap/a"
    assert await kubectl.ok(*get, "jsonpath={.data.k}") == "v"
    assert await kubectl.ok(*get, "go-template={{.data.k}}") == "v"
    assert (await kubectl.ok(*get, "custom-columns=NAME:.metadata.name,K:.data.k")).split() == ["NAME", "K", "a", "v"]
    template = kubectl.directory / "template"
    template.write_text("{.metadata.name}")
    assert await kubectl.ok(*get, f"jsonpath-file={template}") == "a"
    assert "LABELS" in await kubectl.ok("get", "pods", "--show-labels")
    assert "APP" in await kubectl.ok("get", "pods", "-L", "app")
    assert "NOMINATED NODE" in await kubectl.ok("get", "pods", "-o", "wide")
    assert (await kubectl.ok("get", "cm", "--sort-by=.metadata.name", "-o", "name")).splitlines()[:2] == [
        "configmap/a",
        "configmap/b",
    ]
    raw = await kubectl.ok("get", "--raw", f"/api/v1/namespaces/{await ns_of(kubectl)}/pods/p")
    assert loaded(raw)["metadata"]["name"] == "p"
    assert "No resources found" in (await kubectl.run("get", "deploy")).err
    assert "not found" not in (await kubectl.run("get", "cm", "none", "--ignore-not-found")).err


async def ns_of(kubectl: Kubectl) -> str:
    return await kubectl.ok("config", "view", "--minify", "-o", "jsonpath={..namespace}")


async def test_get_pages_and_selects(kubectl: Kubectl) -> None:
    await kubectl.apply(*(config_map(f"m{number:02}", labels={"odd": str(number % 2)}) for number in range(11)))
    assert len((await kubectl.ok("get", "cm", "-l", "odd", "--chunk-size=3", "-o", "name")).split()) == 11
    assert len((await kubectl.ok("get", "cm", "-l", "odd in (1)", "-o", "name")).split()) == 5
    assert await kubectl.ok("get", "cm", "--field-selector=metadata.name=m07", "-o", "name") == "configmap/m07"
    assert "m07" in await kubectl.ok("get", "cm", "-A", "--field-selector", "metadata.name=m07")


async def test_get_of_a_status_and_a_scale(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web", replicas=2))
    assert loaded(await kubectl.ok("get", "deploy", "web", "--subresource=scale", "-o", "json"))["kind"] == "Scale"
    assert "web" in await kubectl.ok("get", "deploy", "web", "--subresource=status")


@every_kubectl
async def test_get_w_of_many_and_with_events(kubectl: Kubectl) -> None:
    await kubectl.apply(config_map("a"))
    watching = await kubectl.start("get", "cm", "-w", "--output-watch-events", "--no-headers")
    assert watching.stdout is not None
    async with asyncio.timeout(DEADLINE):
        while b"a" not in (await watching.stdout.readline()).split():
            pass
        await kubectl.ok("delete", "cm", "a")
        assert (await watching.stdout.readline()).split()[:2] == [b"DELETED", b"a"]
    watching.kill()
    await watching.wait()


async def test_describe_of_many_kinds(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web"), service("web"), pod("p"), config_map("c"))
    await kubectl.ok("create", "secret", "generic", "s", "--from-literal=a=b")
    await kubectl.ok("create", "ingress", "i", "--rule=a.example/=web:80")
    assert "StrategyType:" in await kubectl.ok("describe", "deploy", "web")
    assert "Selector:" in await kubectl.ok("describe", "svc", "web")
    assert "Containers:" in await kubectl.ok("describe", "pod", "p")
    assert "a:" in await kubectl.ok("describe", "cm", "c")
    assert "1 bytes" in await kubectl.ok("describe", "secret", "s")
    assert "a.example" in await kubectl.ok("describe", "ingress", "i")
    assert "Status:       Active" in await kubectl.ok("describe", "ns", await ns_of(kubectl))
    await kubectl.ok("create", "serviceaccount", "builder")
    assert "Image pull secrets:" in await kubectl.ok("describe", "sa", "builder")


@every_kubectl
async def test_explain_in_both_languages(kubectl: Kubectl) -> None:
    assert "FIELDS:" in await kubectl.ok("explain", "pod.spec.containers.livenessProbe")
    assert "kind\t<string>" in (await kubectl.ok("explain", "svc", "--recursive"))
    assert "VERSION:" in await kubectl.ok("explain", "deploy", "--api-version=apps/v1")
    assert "does not exist" in await kubectl.fails("explain", "pod.spec.nonsense")
    assert "FIELDS:" in await kubectl.ok("explain", "pod.spec", "--output", "plaintext-openapiv2")


@every_kubectl
async def test_events_of_an_object_and_as_they_come(kubectl: Kubectl) -> None:
    await kubectl.apply(pod("p"))
    uid = await kubectl.ok("get", "pod", "p", "-o", "jsonpath={.metadata.uid}")
    about = {"kind": "Pod", "name": "p", "namespace": await ns_of(kubectl), "apiVersion": "v1", "uid": uid}
    await kubectl.ok("create", "-f", "-", stdin=yaml.safe_dump(_event("e1", about, "Started")))
    assert "Started" in await kubectl.ok("events")
    assert "Started" in await kubectl.ok("events", "--for=pod/p", "--types=Normal")
    assert "Started" in await kubectl.ok("get", "events", "--field-selector=involvedObject.name=p")
    assert "Started" in await kubectl.ok("describe", "pod", "p")
    watching = await kubectl.start("events", "-w")
    assert watching.stdout is not None
    async with asyncio.timeout(DEADLINE):
        while b"Started" not in await watching.stdout.readline():
            pass
        await kubectl.ok("create", "-f", "-", stdin=yaml.safe_dump(_event("e2", about, "Killing")))
        while b"Killing" not in await watching.stdout.readline():
            pass
    watching.kill()
    await watching.wait()


def _event(name: str, about: dict[str, str], reason: str) -> dict[str, Any]:
    moment = "2026-01-01T00:00:00Z"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": about,
        "reason": reason,
        "message": reason.lower(),
        "type": "Normal",
        "firstTimestamp": moment,
        "lastTimestamp": moment,
    }


@every_kubectl
async def test_what_one_may_do(kubectl: Kubectl) -> None:
    assert await kubectl.ok("auth", "can-i", "delete", "deployments.apps") == "yes"
    assert await kubectl.ok("auth", "can-i", "get", "/healthz") == "yes"
    assert (await kubectl.run("auth", "can-i", "get", "pods", "--as=nobody")).out.strip() == "no"
    assert "*.*" in await kubectl.ok("auth", "can-i", "--list")
    if kubectl.minor >= 28:  # before, it asks for versions of the API that are gone
        assert loaded(await kubectl.ok("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"] == "admin"


@every_kubectl
async def test_the_server_tells_what_it_serves(kubectl: Kubectl) -> None:
    assert loaded(await kubectl.ok("version", "-o", "json"))["serverVersion"]["major"] == "1"
    wide = await kubectl.ok("api-resources", "-o", "wide", "--api-group=apps")
    assert "deploy" in wide
    assert "all" in wide
    assert "create,delete,deletecollection,get,list,patch,update,watch" in wide.replace(" ", "")
    verbs = await kubectl.ok("api-resources", "--verbs=list,watch", "--namespaced=false", "-o", "name")
    assert "namespaces" in verbs.split()
    assert "pods" not in verbs.split()
    assert "autoscaling/v1" in (await kubectl.ok("api-versions")).split()
    assert "v1" in await kubectl.ok("get", "--raw", "/api")


# changing


def editor(kubectl: Kubectl, expression: str) -> dict[str, str]:
    """An editor that a person could be: it changes the file it is given."""
    script = kubectl.directory / "editor"
    script.write_text(f'#!/bin/sh\nsed -i "{expression}" "$1"\n')
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    return {"KUBE_EDITOR": str(script)}


@every_kubectl
async def test_edit_patches_what_the_editor_changed(kubectl: Kubectl, cluster: Cluster) -> None:
    await kubectl.apply(deployment("web"))
    assert "edited" in await kubectl.ok("edit", "deploy", "web", **editor(kubectl, "s/replicas: 1/replicas: 4/"))
    assert await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "4"
    unchanged = await kubectl.run("edit", "deploy", "web", **editor(kubectl, "s/nothing/else/"))
    assert "no changes made" in unchanged.err + unchanged.out
    group = cluster.define_widgets(f"g{uuid.uuid4().hex[:8]}.example.com")
    await kubectl.apply(widget("w", f"{group}/v1"))
    await kubectl.ok("edit", f"widgets.{group}", "w", **editor(kubectl, "s/size: 1/size: 9/"))
    assert await kubectl.ok("get", f"widgets.{group}", "w", "-o", "jsonpath={.spec.size}") == "9"


@every_kubectl
async def test_diff_says_what_would_change_and_changes_nothing(kubectl: Kubectl) -> None:
    web = deployment("web")
    new = await kubectl.run("diff", "-f", "-", stdin=yaml.safe_dump(web))
    assert (new.code, "+kind: Deployment" in new.out) == (1, True)
    await kubectl.apply(web)
    assert (await kubectl.run("diff", "-f", "-", stdin=yaml.safe_dump(web))).code == 0
    web["spec"]["template"]["spec"]["containers"][0]["image"] = "sample:2"
    for flags in ((), ("--server-side", "--force-conflicts")):
        changed = await kubectl.run("diff", *flags, "-f", "-", stdin=yaml.safe_dump(web))
        assert changed.code == 1, changed
        assert "+      - image: sample:2" in changed.out
    assert "sample:1" in await kubectl.ok("get", "deploy", "web", "-o", "yaml")


@every_kubectl
async def test_replace_keeps_the_object_and_force_makes_another(kubectl: Kubectl) -> None:
    await kubectl.apply(config_map("a"))
    uid = ("get", "cm", "a", "-o", "jsonpath={.metadata.uid}")
    before = await kubectl.ok(*uid)
    await kubectl.ok("replace", "-f", "-", stdin=yaml.safe_dump(config_map("a", {"a": "2"})))
    assert await kubectl.ok(*uid) == before
    stale = config_map("a", {"a": "3"}, resourceVersion="1")
    assert "please apply your changes to the latest version" in await kubectl.fails(
        "replace", "-f", "-", stdin=yaml.safe_dump(stale)
    )
    file = kubectl.directory / "a.yaml"
    file.write_text(yaml.safe_dump(config_map("a", {"a": "4"})))
    await kubectl.ok("replace", "--force", "-f", str(file))
    assert await kubectl.ok(*uid) != before


@every_kubectl
async def test_apply_prunes_views_and_takes_over(kubectl: Kubectl) -> None:
    both = yaml.safe_dump_all([config_map(name, labels={"app": "x"}) for name in "ab"])
    await kubectl.ok("apply", "-f", "-", stdin=both)
    one = yaml.safe_dump(config_map("a", labels={"app": "x"}))
    pruned = await kubectl.ok(
        "apply", "-f", "-", "--prune", "-l", "app=x", "--prune-allowlist=core/v1/ConfigMap", stdin=one
    )
    assert "configmap/b pruned" in pruned
    await kubectl.ok("apply", "set-last-applied", "-f", "-", stdin=yaml.safe_dump(config_map("a", {"z": "1"})))
    assert "z:" in await kubectl.ok("apply", "view-last-applied", "cm/a")


@every_kubectl
async def test_client_side_apply_moves_over_to_the_server(kubectl: Kubectl) -> None:
    """What the client-side apply owned belongs to the server-side one, so that fields taken out go away."""
    first = config_map("a", {"keep": "1", "drop": "1"})
    await kubectl.apply(first)
    second = yaml.safe_dump(config_map("a", {"keep": "2"}))
    await kubectl.ok("apply", "--server-side", "-f", "-", stdin=second)
    assert loaded(await kubectl.ok("get", "cm", "a", "-o", "jsonpath={.data}")) == {"keep": "2"}
    managers = loaded(await kubectl.ok("get", "cm", "a", "-o", "json", "--show-managed-fields"))["metadata"][
        "managedFields"
    ]
    assert ("kubectl", "Apply") in {(entry["manager"], entry["operation"]) for entry in managers}


@every_kubectl
async def test_patches_of_a_file_and_of_custom_kinds(kubectl: Kubectl, cluster: Cluster) -> None:
    group = cluster.define_widgets(f"g{uuid.uuid4().hex[:8]}.example.com")
    await kubectl.apply(widget("w", f"{group}/v1"))
    name = f"widgets.{group}/w"
    await kubectl.ok("patch", name, "--type=merge", "-p", '{"spec":{"size":2}}')
    await kubectl.ok("patch", name, "--type=json", "-p", '[{"op":"test","path":"/spec/size","value":2}]')
    assert "media types" in await kubectl.fails("patch", name, "-p", '{"spec":{"size":3}}')
    refused = await kubectl.fails("patch", name, "--type=merge", "-p", '{"spec":{"size":0}}')
    assert "spec.size: Invalid value: 0" in refused
    file = kubectl.directory / "patch.yaml"
    file.write_text("spec: {size: 7}")
    await kubectl.ok("patch", name, "--type=merge", "--patch-file", str(file))
    assert await kubectl.ok("get", name, "-o", "jsonpath={.spec.size}") == "7"


async def test_labels_and_annotations_need_overwrite(kubectl: Kubectl) -> None:
    await kubectl.apply(config_map("a"))
    await kubectl.ok("label", "cm", "a", "x=1")
    assert "--overwrite is false" in await kubectl.fails("label", "cm", "a", "x=2")
    await kubectl.ok("label", "cm", "a", "x=2", "--overwrite")
    version = await kubectl.ok("get", "cm", "a", "-o", "jsonpath={.metadata.resourceVersion}")
    await kubectl.ok("annotate", "cm", "a", "note=1", f"--resource-version={version}")
    stale = await kubectl.fails("annotate", "cm", "a", "note=2", "--overwrite", "--resource-version=1")
    assert "please apply your changes to the latest version" in stale
    await kubectl.ok("label", "cm", "--all", "y=1")
    assert await kubectl.ok("get", "cm", "a", "-o", "jsonpath={.metadata.labels}") == '{"x":"2","y":"1"}'
    assert "invalid label value" in (await kubectl.fails("label", "cm", "a", "x=-", "--overwrite")).lower()


@every_kubectl
async def test_scale_with_its_conditions(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web"))
    await kubectl.ok("scale", "deploy/web", "--replicas=3", "--current-replicas=1")
    version = await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.metadata.resourceVersion}")
    await kubectl.ok("scale", "deploy/web", "--replicas=4", f"--resource-version={version}")
    stale = await kubectl.fails("scale", "deploy/web", "--replicas=5", f"--resource-version={version}")
    assert "resource version" in stale
    await kubectl.ok("scale", "--replicas=2", "deploy", "--all")
    assert await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"


@every_kubectl
async def test_set_changes_what_it_names(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web"), config_map("c", {"FROM": "map"}), service("web"))
    await kubectl.ok("set", "env", "deploy/web", "--from=configmap/c")
    await kubectl.ok("set", "image", "deploy/web", "*=sample:2")
    await kubectl.ok("set", "resources", "deploy/web", "--requests=memory=1Gi")
    await kubectl.ok("set", "serviceaccount", "deploy/web", "builder")
    await kubectl.ok("set", "selector", "svc", "web", "tier=front")
    await kubectl.ok("create", "rolebinding", "rb", "--role=r", "--user=ann")
    await kubectl.ok("set", "subject", "rolebinding", "rb", "--user=bob")
    template = loaded(await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.spec.template.spec}"))
    (container,) = template["containers"]
    assert container["env"][0]["valueFrom"]["configMapKeyRef"] == {"name": "c", "key": "FROM"}
    assert (container["image"], container["resources"]) == ("sample:2", {"requests": {"memory": "1Gi"}})
    assert template["serviceAccountName"] == "builder"
    assert await kubectl.ok("get", "svc", "web", "-o", "jsonpath={.spec.selector}") == '{"tier":"front"}'
    assert "bob" in await kubectl.ok("get", "rolebinding", "rb", "-o", "jsonpath={.subjects}")


@every_kubectl
async def test_run_expose_and_autoscale(kubectl: Kubectl) -> None:
    await kubectl.ok("run", "p", "--image=x:1", "--port=8080", "--labels=app=p", "--env=A=1", "--expose")
    assert await kubectl.ok("get", "svc", "p", "-o", "jsonpath={.spec.ports[0].port}") == "8080"
    await kubectl.ok("run", "q", "--image=x:1", "--restart=Never", "--command", "--", "sleep", "1")
    assert await kubectl.ok("get", "pod", "q", "-o", "jsonpath={.spec.containers[0].command}") == '["sleep","1"]'
    assert "p2 created" in await kubectl.ok("run", "p2", "--image=x:1", "--dry-run=server")
    await kubectl.ok("expose", "pod", "q", "--port=80", "--selector=run=q", "--type=NodePort")
    assert int(await kubectl.ok("get", "svc", "q", "-o", "jsonpath={.spec.ports[0].nodePort}")) >= 30000
    await kubectl.apply(deployment("web"))
    await kubectl.ok("autoscale", "deploy", "web", "--min=1", "--max=5", "--cpu-percent=80")
    assert await kubectl.ok("get", "hpa", "web", "-o", "jsonpath={.spec.maxReplicas}") == "5"


# waiting and deleting


async def test_wait_for_conditions_paths_creation_and_deletion(kubectl: Kubectl) -> None:
    if kubectl.minor >= 31:
        creation = await kubectl.start("wait", "cm/a", "--for=create", "--timeout=30s")
        await kubectl.apply(config_map("a"))
        assert await creation.wait() == 0
    await kubectl.apply(config_map("a"), deployment("web"))
    assert "timed out" in await kubectl.fails("wait", "deploy/web", "--for=condition=Available", "--timeout=1s")
    condition = '{"status":{"conditions":[{"type":"Available","status":"True"}]}}'
    waiting = await kubectl.start("wait", "deploy", "-l", "app=web", "--for=condition=Available", "--timeout=30s")
    await kubectl.ok("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", condition)
    assert await waiting.wait() == 0
    await kubectl.ok("wait", "deploy/web", "--for=condition=Available=True", "--timeout=30s")
    await kubectl.ok("wait", "cm/a", "--for=jsonpath={.data.a}=1", "--timeout=30s")
    if kubectl.minor >= 31:
        await kubectl.ok("wait", "cm/a", "--for=jsonpath={.data.a}", "--timeout=30s")
    deletion = await kubectl.start("wait", "cm/a", "--for=delete", "--timeout=30s")
    await kubectl.ok("delete", "cm", "a")
    assert await deletion.wait() == 0


@pytest.mark.parametrize("mode", ["background", "foreground", "orphan"])
async def test_delete_says_what_becomes_of_dependents(kubectl: Kubectl, mode: str) -> None:
    """The garbage collector, which is not here, takes these finalizers away."""
    await kubectl.apply(deployment("web"))
    await kubectl.ok("delete", "deploy", "web", f"--cascade={mode}", "--wait=false")
    finalizers = {"foreground": "foregroundDeletion", "orphan": "orphan"}.get(mode)
    left = await kubectl.run("get", "deploy", "web", "-o", "jsonpath={.metadata.finalizers[0]}")
    assert left.out == (finalizers or "")
    assert (left.code == 0) is (finalizers is not None)


async def test_delete_by_selector_by_file_with_grace_and_by_force(kubectl: Kubectl) -> None:
    await kubectl.apply(*(config_map(name, labels={"go": "yes"}) for name in "ab"), config_map("c"), pod("p"))
    assert (await kubectl.ok("delete", "cm", "-l", "go=yes")).count("deleted") == 2
    assert "deleted" in await kubectl.ok("delete", "-f", "-", stdin=yaml.safe_dump(config_map("c")))
    assert "deleted" in await kubectl.ok("delete", "pod", "p", "--grace-period=0", "--force")
    assert "not found" in await kubectl.fails("delete", "pod", "p")
    await kubectl.ok("delete", "pod", "p", "--ignore-not-found")
    await kubectl.apply(config_map("d"))
    assert "dry run" in await kubectl.ok("delete", "cm", "d", "--dry-run=server")
    await kubectl.ok("get", "cm", "d")
    await kubectl.ok("delete", "cm", "--all")


# nodes


async def test_nodes_are_cordoned_tainted_and_drained(kubectl: Kubectl, cluster: Cluster) -> None:
    name = f"n-{uuid.uuid4().hex[:6]}"
    cluster.post("/api/v1/nodes", {"metadata": {"name": name}})
    assert "cordoned" in await kubectl.ok("cordon", name)
    assert "SchedulingDisabled" in await kubectl.ok("get", "node", name)
    assert "uncordoned" in await kubectl.ok("uncordon", name)
    assert "tainted" in await kubectl.ok("taint", "nodes", name, "dedicated=db:NoSchedule")
    assert "untainted" in await kubectl.ok("taint", "nodes", name, "dedicated-")
    await kubectl.apply(pod("p", nodeName=name, terminationGracePeriodSeconds=0))
    drained = await kubectl.ok("drain", name, "--force", "--timeout=30s")
    assert "drained" in drained
    assert "not found" in await kubectl.fails("get", "pod", "p")
    assert "Unschedulable:      true" in await kubectl.ok("describe", "node", name)
    await kubectl.ok("delete", "node", name)


# what is refused


@every_kubectl
async def test_what_is_not_served_is_refused_by_name(kubectl: Kubectl) -> None:
    await kubectl.apply(pod("p"))
    assert "metrics not available yet" in await kubectl.fails("top", "pods")  # nobody runs it
    assert "pods/ephemeralcontainers" in await kubectl.fails("debug", "p", "--image=x:1")
    assert "doesn't have a resource type" in await kubectl.fails("get", "volcanoes")
    assert "doesn't have a resource type" in await kubectl.fails("get", "componentstatuses")


async def test_a_definition_comes_and_goes(kubectl: Kubectl) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.com"
    await kubectl.apply(widget_crd(group))
    await kubectl.apply(widget("w", f"{group}/v1"))
    assert "KIND:       Widget" in await kubectl.ok("explain", f"widgets.{group}")
    assert f"widgets.{group}" in await kubectl.ok("api-resources", "-o", "name")
    assert f"widget.{group}/w" in await kubectl.ok("get", f"widgets.v1.{group}", "-o", "name")
    await kubectl.ok("delete", "crd", f"widgets.{group}", "--timeout=30s")
    assert "doesn't have a resource type" in await kubectl.fails("get", f"widgets.{group}")
