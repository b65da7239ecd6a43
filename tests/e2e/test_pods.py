"""What a pod may ask for beyond one container that serves, on one node for all of it: pods are real processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from graylane.model.kinds import CONFIG_MAP, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, SERVICE_ACCOUNT, Kind
from graylane.model.meta import Obj, condition, dig, is_true
from graylane.testing.kubelets import Rig, kubelet_rig, status_of
from graylane.testing.waiting import eventually

from .kubectls import OWN

ROLE = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDING = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with kubelet_rig(tmp_path_factory.mktemp("pods")) as found:
        await found.kubelet()
        yield found


def shell(script: str, **more: Any) -> Obj:
    return {"image": "busybox", "command": ["sh", "-c", script], **more}


WORK: Obj = {"volumeMounts": [{"name": "work", "mountPath": "work"}]}
EMPTY = [{"name": "work", "emptyDir": {}}]


async def test_a_sidecar_serves_the_others_from_before_their_start_to_after_their_end(rig: Rig) -> None:
    """It is started when its probe says so, is restarted under Never, and does not keep the pod from succeeding."""
    script = "echo run >> work/runs; [ $(wc -l < work/runs) = 2 ] || exit 1; touch work/up; exec sleep 600"
    probe = {"exec": {"command": ["test", "-e", "work/up"]}, "periodSeconds": 1}
    sidecar = shell(script, **WORK, name="proxy", restartPolicy="Always", startupProbe=probe)
    setup = shell("cat work/runs > work/seen", **WORK, name="setup")
    main = shell("until [ -e work/go ]; do sleep 0.02; done; cat work/seen", **WORK)
    await rig.run("helped", main, restartPolicy="Never", initContainers=[sidecar, setup], volumes=EMPTY)
    pod = await rig.ready("helped")
    proxy, second = dig(pod, "status", "initContainerStatuses")
    assert (proxy["started"], proxy["ready"], proxy["restartCount"]) == (True, True, 1)
    assert second["state"]["terminated"]["reason"] == "Completed"
    (work,) = (rig.directory / "kubelet" / pod["metadata"]["uid"]).glob("volumes/work")
    (work / "go").touch()
    pod = await rig.when("helped", lambda pod: dig(pod, "status", "phase") == "Succeeded")
    assert await rig.log("helped", "container=main") == "run\nrun\n"
    assert dig(pod, "status", "initContainerStatuses", 0, "state", "terminated", "exitCode") == 143


async def test_a_pod_past_its_deadline_fails_with_the_reason(rig: Rig) -> None:
    await rig.run("late", shell("exec sleep 600"), activeDeadlineSeconds=1)
    pod = await rig.when("late", lambda pod: dig(pod, "status", "phase") == "Failed")
    assert dig(pod, "status", "reason") == "DeadlineExceeded"
    pod = await rig.when("late", lambda pod: dig(status_of(pod), "state", "terminated"))
    assert status_of(pod)["state"]["terminated"]["exitCode"] == 143
    assert not is_true(pod, "Ready")
    await rig.client.delete(POD, "late", "default")
    await rig.gone("late")


async def test_files_of_a_running_pod_follow_what_they_are_made_of(rig: Rig) -> None:
    await rig.client.create(CONFIG_MAP, {"metadata": {"name": "cfg", "namespace": "default"}, "data": {"color": "red"}})
    await rig.client.create(SERVICE_ACCOUNT, {"metadata": {"name": "robot", "namespace": "default"}})
    sources: list[Obj] = [
        {"configMap": {"name": "cfg"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"serviceAccountToken": {"path": "token"}},
    ]
    script = "head -c 3 all/token; echo; until [ $(cat all/color) = blue ]; do sleep 0.02; done; echo $CPU blue; "
    script += "until grep -q new all/labels; do sleep 0.02; done; echo relabelled"
    await rig.run(
        "reader",
        shell(
            script,
            volumeMounts=[{"name": "all", "mountPath": "all"}],
            resources={"limits": {"cpu": "250m"}},
            env=[{"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}],
        ),
        restartPolicy="Never",
        serviceAccountName="robot",
        volumes=[{"name": "all", "projected": {"sources": sources}}],
    )
    await rig.ready("reader")
    await rig.client.patch(CONFIG_MAP, "cfg", "default", {"data": {"color": "blue"}})
    await rig.client.patch(POD, "reader", "default", {"metadata": {"labels": {"tier": "new"}}})
    await rig.when("reader", lambda pod: dig(pod, "status", "phase") == "Succeeded")
    assert (await rig.log("reader")).splitlines() == ["eyJ", "250 blue", "relabelled"]


async def test_a_pod_may_do_at_the_api_what_its_service_account_may(rig: Rig) -> None:
    await rig.client.create(SERVICE_ACCOUNT, {"metadata": {"name": "reader", "namespace": "default"}})
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    role = {"metadata": {"name": "reader", "namespace": "default"}, "rules": [rule]}
    await rig.client.create(ROLE, role)
    binding = {
        "metadata": {"name": "reader", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
    }
    await rig.client.create(ROLE_BINDING, binding)
    script = f"{OWN} get pods -l app=asker -o name && {OWN} get secrets"
    await rig.run("asker", shell(script), restartPolicy="Never", serviceAccountName="reader")
    pod = await rig.when("asker", lambda pod: dig(pod, "status", "phase") == "Failed")
    first, second = (await rig.log("asker")).splitlines()
    assert first == "pod/asker"
    assert 'User "system:serviceaccount:default:reader" cannot list resource "secrets"' in second
    directory = rig.directory / "kubelet" / pod["metadata"]["uid"] / "serviceaccount"
    assert (directory / "token").stat().st_mode & 0o777 == 0o600
    for name, spec in (("nobody", {}), ("without", {"automountServiceAccountToken": False})):
        account = {"serviceAccountName": "reader"} if spec else {}
        await rig.run(name, shell("echo [$KUBECONFIG]"), restartPolicy="Never", **spec, **account)
        await rig.when(name, lambda pod: dig(pod, "status", "phase") == "Succeeded")
        assert await rig.log(name) == "[]\n"


async def test_what_a_pod_wrote_into_a_claim_is_there_for_the_next_and_goes_with_the_claim(rig: Rig) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "files", "namespace": "default"}
    await rig.client.create(PERSISTENT_VOLUME_CLAIM, {"metadata": metadata, "spec": spec})
    mount = {"volumeMounts": [{"name": "files", "mountPath": "files"}]}
    volumes = [{"name": "files", "persistentVolumeClaim": {"claimName": "files"}}]
    for name, script in (("writer", "echo kept > files/note"), ("finder", "cat files/note")):
        await rig.run(name, shell(script, **mount), restartPolicy="Never", volumes=volumes)
        await rig.when(name, lambda pod: dig(pod, "status", "phase") == "Succeeded")
    assert await rig.log("finder") == "kept\n"
    (directory,) = (rig.directory / "volumes").iterdir()
    assert (directory / "note").read_text() == "kept\n"
    await rig.client.delete(PERSISTENT_VOLUME_CLAIM, "files", "default")

    async def nothing_left() -> bool:
        return not (await rig.client.list(PERSISTENT_VOLUME)).items

    _: bool = await eventually(nothing_left, 30, "the volume gone")
    assert not directory.exists()


async def test_hooks_of_every_kind_run_before_the_container_counts_and_before_it_ends(rig: Rig) -> None:
    server = "import http.server, os\n"
    server += "class Handler(http.server.SimpleHTTPRequestHandler):\n"
    server += "    def do_GET(self):\n        print(self.path, flush=True)\n        self.send_error(404)\n"
    server += "    def log_message(self, *_): pass\n"
    server += "http.server.HTTPServer((os.environ['POD_IP'], 8000), Handler).serve_forever()\n"
    hooks = {"postStart": {"sleep": {"seconds": 1}}, "preStop": {"httpGet": {"path": "/stopping", "port": 8000}}}
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    main = {"image": "x", "command": ["python3", "-c", server], "lifecycle": hooks, "readinessProbe": probe}
    await rig.run("hooked", main)
    pod = await rig.ready("hooked")
    started, ready = status_of(pod)["state"]["running"]["startedAt"], condition(pod, "Ready")
    assert ready is not None
    assert ready["lastTransitionTime"] > started, "it is not ready before its hook has run"
    following = asyncio.create_task(rig.log("hooked", "follow=true"))
    await rig.client.delete(POD, "hooked", "default")
    await rig.gone("hooked")
    assert await following == "/stopping\n"
    assert ("FailedPreStopHook", "PreStopHook failed: HTTP probe failed with statuscode: 404") in await rig.events(
        "hooked"
    )


async def test_a_container_whose_first_hook_fails_is_ended_and_tried_again(rig: Rig) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "[ -e again ] || { touch again; exit 9; }"]}}}
    await rig.run("unhooked", shell("exec sleep 600", lifecycle=hook))
    pod = await rig.ready("unhooked")
    assert status_of(pod)["restartCount"] == 1
    assert dig(status_of(pod), "lastState", "terminated", "exitCode") == 143
    assert "FailedPostStartHook" in {reason for reason, _ in await rig.events("unhooked")}


async def test_a_failing_container_is_run_again_on_failure_and_not_after_it_succeeded(rig: Rig) -> None:
    script = "echo run >> runs; [ $(wc -l < runs) = 2 ] && exit; echo out of luck; printf 'code 7' >&2; exit 7"
    main = shell(script, terminationMessagePolicy="FallbackToLogsOnError")
    await rig.run("retried", main, restartPolicy="OnFailure")
    pod = await rig.when("retried", lambda pod: dig(pod, "status", "phase") == "Succeeded")
    assert status_of(pod)["restartCount"] == 1
    ended, before = status_of(pod)["state"]["terminated"], status_of(pod)["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("Completed", 0)
    assert (before["reason"], before["exitCode"], before["message"]) == ("Error", 7, "out of luck\ncode 7")
    assert "message" not in ended


async def test_a_container_waits_for_the_settings_it_names_and_for_a_program_that_there_is(rig: Rig) -> None:
    env = [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "color"}}}]
    await rig.run("waiting", shell("echo $COLOR", env=env), restartPolicy="Never")
    pod = await rig.when("waiting", lambda pod: dig(status_of(pod), "state", "waiting", "message"))
    assert status_of(pod)["state"]["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "late" not found',
    }
    data = {"metadata": {"name": "late", "namespace": "default"}, "data": {"color": "red"}}
    await rig.client.create(CONFIG_MAP, data)
    await rig.when("waiting", lambda pod: dig(pod, "status", "phase") == "Succeeded")
    assert await rig.log("waiting") == "red\n"
    await rig.run("absent", {"image": "x", "command": ["no-such-program"]}, restartPolicy="Never")
    pod = await rig.when("absent", lambda pod: dig(pod, "status", "phase") == "Failed")
    ended = status_of(pod)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
