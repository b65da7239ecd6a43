"""The real kubectl against a started server: what people type must work, in the words they know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
import yaml

from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer
from graylane.testing.api.objects import deployment, pod, widget, widget_crd
from graylane.testing.api.serve import config, write_kubeconfig
from graylane.testing.waiting import eventually
from tests.e2e.kubectls import BINARIES, DEADLINE, Kubectl, binary_of, every_kubectl

pytestmark = pytest.mark.e2e

SCENARIO = Path(__file__).parents[2] / "examples" / "end-to-end-canary"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Authority:
    return pki.Authority(tmp_path_factory.mktemp("pki") / "pki", datetime.now(UTC))


@pytest.fixture(params=BINARIES)
async def kubectl(request: pytest.FixtureRequest, tmp_path: Path, authority: pki.Authority) -> AsyncIterator[Kubectl]:
    server = ApiServer(config(tmp_path, authority.pair.certificate.parent))
    await server.start()
    write_kubeconfig(tmp_path, server, authority)
    yield Kubectl(tmp_path, binary_of(request.param))
    await server.stop()


async def test_apply_creates_then_changes_nothing_then_changes_what_changed(kubectl: Kubectl) -> None:
    manifest = str(SCENARIO / "01-apps.yaml")
    first = await kubectl.ok("apply", "-f", manifest)
    assert first.count("created") == 4
    second = await kubectl.ok("apply", "-f", manifest)
    assert second.count("unchanged") == 4
    text = (SCENARIO / "01-apps.yaml").read_text().replace("value: base", "value: canary")
    third = await kubectl.ok("apply", "-f", "-", stdin=text)
    assert (third.count("configured"), third.count("unchanged")) == (2, 2)
    assert await kubectl.ok("get", "deploy", "mocka-base", "-o", "jsonpath={.metadata.generation}") == "2"


async def test_fields_taken_out_of_a_manifest_go_away(kubectl: Kubectl) -> None:
    containers = [{"name": "main", "image": "x:1", "env": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]}]
    app = deployment("web")
    app["spec"]["template"]["spec"]["containers"] = containers
    await kubectl.apply(app)
    containers[0]["env"] = [{"name": "b", "value": "2"}]
    await kubectl.apply(app)
    path = "jsonpath={.spec.template.spec.containers[0].env[*].name}"
    assert await kubectl.ok("get", "deploy", "web", "-o", path) == "b"


async def test_get_prints_what_kubectl_users_expect(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web"), pod("one"))
    table = await kubectl.ok("get", "deploy,po")
    assert "deployment.apps/web" in table
    assert "READY   UP-TO-DATE   AVAILABLE" in table
    assert "pod/one" in table
    assert await kubectl.ok("get", "deploy", "-o", "name") == "deployment.apps/web"
    assert yaml.safe_load(await kubectl.ok("get", "deploy", "web", "-o", "yaml"))["kind"] == "Deployment"
    assert orjson.loads(await kubectl.ok("get", "deploy", "-o", "json"))["kind"] == "List"
    assert "IMAGES" in await kubectl.ok("get", "deploy", "-o", "wide")
    assert (
        await kubectl.ok("get", "po", "-l", "app=one", "--no-headers", "-o", "custom-columns=N:.metadata.name") == "one"
    )
    assert "web" in await kubectl.ok("get", "all")
    assert "one" in await kubectl.ok("get", "pods", "-A", "--sort-by=.metadata.name")
    assert 'pods "two" not found' in await kubectl.fails("get", "pod", "two")


async def test_get_w_shows_every_change(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web"))
    watching = await kubectl.start("get", "deploy", "web", "-w", "--no-headers")
    assert watching.stdout is not None
    async with asyncio.timeout(DEADLINE):
        assert (await watching.stdout.readline()).split()[:2] == [b"web", b"0/1"]
        await kubectl.ok("scale", "deploy/web", "--replicas=3")
        assert (await watching.stdout.readline()).split()[:2] == [b"web", b"0/3"]
    watching.kill()
    await watching.wait()


async def test_set_env_patches_the_template(kubectl: Kubectl) -> None:
    await kubectl.ok("apply", "-f", str(SCENARIO / "01-apps.yaml"))
    await kubectl.ok("set", "env", "deploy/mocka-base", "version=canary")
    assert "version=canary" in await kubectl.ok("set", "env", "deploy/mocka-base", "--list")
    await kubectl.ok("set", "image", "deploy/mocka-base", "default=x:2")
    await kubectl.ok("set", "resources", "deploy/mocka-base", "--limits=cpu=1")
    template = orjson.loads(await kubectl.ok("get", "deploy", "mocka-base", "-o", "json"))["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert (container["image"], container["resources"]) == ("x:2", {"limits": {"cpu": "1"}})
    assert [entry["name"] for entry in container["env"]] == ["version", "app", "upstream_url"]


@every_kubectl
async def test_generators_that_speak_protobuf_are_understood(kubectl: Kubectl) -> None:
    await kubectl.ok("create", "namespace", "shop")
    await kubectl.ok("create", "configmap", "c", "--from-literal=a=b", "-n", "shop")
    await kubectl.ok("create", "secret", "generic", "s", "--from-literal=a=b", "-n", "shop")
    await kubectl.ok("create", "serviceaccount", "sa", "-n", "shop")
    await kubectl.ok("create", "service", "nodeport", "np", "--tcp=80:8080", "-n", "shop")
    await kubectl.ok("create", "deployment", "web", "--image=x:1", "--replicas=2", "-n", "shop")
    await kubectl.ok("create", "role", "r", "--verb=get", "--resource=pods", "-n", "shop")
    await kubectl.ok("create", "ingress", "i", "--rule=a.example/=web:80", "-n", "shop")
    assert await kubectl.ok("get", "cm", "c", "-n", "shop", "-o", "jsonpath={.data.a}") == "b"
    assert await kubectl.ok("get", "deploy", "web", "-n", "shop", "-o", "jsonpath={.spec.replicas}") == "2"
    assert await kubectl.ok("auth", "can-i", "create", "pods") == "yes"
    if kubectl.minor >= 28:  # before, it asks for versions of the API that are gone
        assert "admin" in await kubectl.ok("auth", "whoami")


async def test_labels_annotations_scale_and_expose(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web"))
    await kubectl.ok("label", "deploy", "web", "tier=front")
    await kubectl.ok("annotate", "deploy", "web", "note=x")
    await kubectl.ok("label", "deploy", "web", "tier-")
    assert "tier" not in await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.metadata.labels}")
    await kubectl.ok("scale", "deploy/web", "--replicas=3", "--current-replicas=1")
    assert "Expected replicas" in await kubectl.fails("scale", "deploy/web", "--replicas=3", "--current-replicas=1")
    await kubectl.ok("expose", "deploy", "web", "--port=80")
    assert await kubectl.ok("get", "svc", "web", "-o", "jsonpath={.spec.ports[0].targetPort}") == "80"
    assert "exposed" in await kubectl.ok("expose", "deploy", "web", "--port=80", "--name=again")


async def test_patches_of_every_type(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web"))
    await kubectl.ok("patch", "deploy", "web", "-p", '{"spec":{"replicas":2}}')
    await kubectl.ok("patch", "deploy", "web", "--type=merge", "-p", '{"metadata":{"labels":{"a":"b"}}}')
    await kubectl.ok(
        "patch", "deploy", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":3}]'
    )
    status = '{"status":{"replicas":3,"readyReplicas":2}}'
    await kubectl.ok("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", status)
    assert (await kubectl.ok("get", "deploy", "web", "--no-headers")).split()[1] == "2/3"


async def test_custom_kinds_are_first_class(kubectl: Kubectl) -> None:
    group = "example.com"
    assert "created" in await kubectl.apply(widget_crd(group))
    await kubectl.ok("wait", "--for=condition=Established", f"crd/widgets.{group}", "--timeout=30s")
    one = widget("one", f"{group}/v1", size=2)
    assert await kubectl.apply(one) == f"widget.{group}/one created"
    assert await kubectl.apply(one) == f"widget.{group}/one unchanged"
    one["spec"]["size"] = 3
    assert await kubectl.apply(one) == f"widget.{group}/one configured"
    assert (await kubectl.ok("get", "wd")).split() == ["NAME", "SIZE", "one", "3"]
    status = '{"status":{"phase":"Ready"}}'
    await kubectl.ok("patch", f"widgets.{group}", "one", "--subresource=status", "--type=merge", "-p", status)
    await kubectl.ok("wait", "wd/one", "--for=jsonpath={.status.phase}=Ready", "--timeout=30s")
    await kubectl.ok("scale", "wd/one", "--replicas=4")
    assert "colour" in await kubectl.ok("explain", "widget.spec")
    assert "Kind:         Widget" in await kubectl.ok("describe", "wd", "one")
    one["spec"]["colour"] = "blue"
    refused = await kubectl.fails("apply", "-f", "-", stdin=yaml.safe_dump(one))
    assert 'spec.colour: Unsupported value: "blue": supported values: ' in refused
    assert "deleted" in await kubectl.ok("delete", "wd", "one")
    await kubectl.ok("delete", "crd", f"widgets.{group}")


async def test_mistakes_in_manifests_are_named(kubectl: Kubectl) -> None:
    wrong = deployment("web")
    wrong["spec"]["replics"] = 3
    assert 'unknown field "spec.replics"' in await kubectl.fails("apply", "-f", "-", stdin=yaml.safe_dump(wrong))
    wrong = deployment("web", replicas="three")
    assert "replicas" in await kubectl.fails("apply", "-f", "-", stdin=yaml.safe_dump(wrong))
    wrong = deployment("Web_1")
    assert "metadata.name" in await kubectl.fails("apply", "-f", "-", stdin=yaml.safe_dump(wrong))


@every_kubectl
async def test_rollouts_that_need_only_the_api(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web"))
    await kubectl.ok("rollout", "restart", "deploy/web")
    await kubectl.ok("rollout", "pause", "deploy/web")
    assert await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.spec.paused}") == "true"
    await kubectl.ok("rollout", "resume", "deploy/web")
    assert await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.spec.paused}") == ""
    waiting = await kubectl.start("rollout", "status", "deploy/web", "--timeout=30s")
    status = {"observedGeneration": 4, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    patch = orjson.dumps({"status": status}).decode()
    await kubectl.ok("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", patch)
    out, _ = await waiting.communicate()
    assert b'deployment "web" successfully rolled out' in out


async def test_deletion_waits_for_finalizers(kubectl: Kubectl) -> None:
    held = deployment("web")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await kubectl.apply(held)
    deleting = await kubectl.start("delete", "deploy", "web")
    marked = ("get", "deploy", "web", "-o", "jsonpath={.metadata.deletionTimestamp}")
    _: str = await eventually(lambda: kubectl.ok(*marked), DEADLINE)
    await kubectl.ok("patch", "deploy", "web", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    out, _ = await deleting.communicate()
    assert b'deployment.apps "web" deleted' in out
    assert "not found" in await kubectl.fails("get", "deploy", "web")


async def test_describe_explain_diff_and_events(kubectl: Kubectl) -> None:
    await kubectl.apply(deployment("web"), pod("one"))
    assert "Pod Template:" in await kubectl.ok("describe", "deploy", "web")
    assert "Status:       Pending" in await kubectl.ok("describe", "pod", "one")
    assert "maxSurge" in await kubectl.ok("explain", "deployment.spec.strategy.rollingUpdate")
    assert "No events found" in (await kubectl.run("events")).err + (await kubectl.run("events")).out
    changed = yaml.safe_dump(deployment("web", replicas=5))
    diff = await kubectl.run("diff", "-f", "-", stdin=changed)
    assert diff.code == 1, diff
    assert "+  replicas: 5" in diff.out


async def test_what_is_stored_only_is_said(kubectl: Kubectl) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
    output = await kubectl.run("apply", "-f", "-", stdin=yaml.safe_dump(quota))
    assert (output.code, output.err.strip()) == (0, "Warning: Graylane stores but does not act on ResourceQuota")


async def test_the_server_describes_itself(kubectl: Kubectl) -> None:
    version = await kubectl.run("version")
    assert "v1.36.0+graylane" in version.out
    if kubectl.minor >= 35:  # within one minor of what the schemas say
        assert "WARNING" not in version.err
    assert "is running at" in await kubectl.ok("cluster-info")
    names = await kubectl.ok("api-resources", "-o", "name")
    assert {"pods", "deployments.apps", "customresourcedefinitions.apiextensions.k8s.io"} <= set(names.split())
    assert "apps/v1" in (await kubectl.ok("api-versions")).split()
    assert await kubectl.ok("get", "--raw", "/readyz") == "ok"


@every_kubectl
async def test_server_side_apply_keeps_what_others_own_and_names_conflicts(kubectl: Kubectl) -> None:
    mine = deployment("web", replicas=2)
    assert "serverside-applied" in await kubectl.ok("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(mine))
    assert "serverside-applied" in await kubectl.ok("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(mine))
    await kubectl.ok("scale", "deploy/web", "--replicas=5")
    conflict = await kubectl.fails("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(mine))
    assert '" with subresource "scale"' in conflict  # of a manager that is called like the binary
    assert ".spec.replicas" in conflict
    forced = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    await kubectl.ok(*forced, stdin=yaml.safe_dump(mine))
    assert await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    del mine["spec"]["replicas"]
    diff = await kubectl.run("diff", "--server-side", "-f", "-", stdin=yaml.safe_dump(mine))
    assert diff.code == 1, diff
    shown = await kubectl.ok("get", "deploy", "web", "-o", "yaml", "--show-managed-fields")
    assert "operation: Apply" in shown
