"""Verbs against a real API server: apply, status, approve, abort, pause, resume."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
import yaml

from cli.conftest import Server
from graylane.cli import release_verbs
from graylane.cli.apply import Applier
from graylane.cli.examples import scenario
from graylane.cli.exits import Exit, GaveUp, Refused
from graylane.cli.manifests import parse, read
from graylane.cli.options import Scope
from graylane.cli.release_verbs import Wish, carry_out
from graylane.cli.releasing import abort, approve
from graylane.cli.root import run
from graylane.errors import BadRequest, Invalid, UserError
from graylane.model.kinds import DEPLOYMENT, NAMESPACE, ROLLOUT, SERVICE, SERVICE_ACCOUNT, Kind
from graylane.model.managers import manager_of, person
from graylane.model.meta import Obj, annotations_of, dig
from graylane.testing.waiting import eventually

PAUSED = {
    "phase": "Progressing",
    "message": "Rollout is in step(1/1), and you need manually confirm to enter the next step",
    "canaryStatus": {
        "currentStepIndex": 1,
        "currentStepState": "StepPaused",
        "canaryRevision": "r2",
        "canaryReplicas": 1,
        "canaryReadyReplicas": 1,
        "podTemplateHash": "h",
    },
}


async def applied(server: Server) -> list[str]:
    told: list[str] = []
    manifests = [item for item in read([scenario()]) if item.object["kind"] != "EnvoyFilter"]
    await Applier(server.client, "default").apply(manifests, told.append)
    return told


async def pause_release(server: Server, *names: str, revision: str = "r2") -> None:
    for name in names:
        status = PAUSED | {"canaryStatus": dict(PAUSED["canaryStatus"], canaryRevision=revision)}  # type: ignore[call-overload]
        await server.client.patch(ROLLOUT, name, "default", {"status": status}, subresource="status")


async def rollout(server: Server, name: str) -> Obj:
    return await server.client.get(ROLLOUT, name, "default")


async def typed(*arguments: str) -> int:
    """A command line as a user types it; verbs run their own event loop, so they get a thread of their own."""
    return await asyncio.to_thread(run, list(arguments))


async def test_the_scenario_is_created_and_then_left_alone(server: Server) -> None:
    created = await applied(server)
    assert len(created) == 13
    assert "deployment.apps/mocka-base created" in created
    assert all(line.endswith(" unchanged") for line in await applied(server))


async def test_only_what_changed_is_configured(server: Server) -> None:
    await applied(server)
    (document,) = parse((scenario() / "02-gateway.yaml").read_text(), "f")
    document.object["spec"]["servers"][0]["hosts"] = ["example.com"]
    told: list[str] = []
    await Applier(server.client, "default").apply([document], told.append)
    assert told == ["gateway.networking.istio.io/sample-gateway configured"]


async def test_manifests_may_bring_their_own_namespace(server: Server) -> None:
    text = (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: shop}\nspec: {ports: [{port: 80}]}"
    )
    await Applier(server.client, "default").apply(parse(text, "f"), lambda _: None)
    await server.client.get(NAMESPACE, "shop")
    await server.client.get(SERVICE, "x", "shop")


REFUSED = [
    (
        "apiVersion: v2\nkind: Nosuch\nmetadata: {name: x}",
        UserError,
        "f, document 1: the server has no kind Nosuch in v2",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80}], portz: 1}",
        BadRequest,
        'f, document 1: .*unknown field "spec.portz"',
    ),
    ("apiVersion: v1\nkind: Service\nmetadata: {name: X}\nspec: {ports: [{port: 80}]}", Invalid, r"metadata\.name"),
]


@pytest.mark.parametrize(("text", "error", "message"), REFUSED)
async def test_a_bad_manifest_is_refused_naming_file_and_field(
    server: Server, text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await Applier(server.client, "default").apply(parse(text, "f"), lambda _: None)


async def test_several_rollouts_are_approved_at_once(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a", "rollouts-b")
    assert await typed("approve", "rollouts-a", "rollout/rollouts-b", "--kubeconfig", str(server.kubeconfig)) == 0
    assert capsys.readouterr().out == (
        "rollout.rollouts.kruise.io/rollouts-a approved\nrollout.rollouts.kruise.io/rollouts-b approved\n"
    )
    for name in ("rollouts-a", "rollouts-b"):
        assert dig(await rollout(server, name), "status", "canaryStatus", "currentStepState") == "StepReady"


async def test_who_approves_is_written_down_as_the_api_knows_him(server: Server) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    assert await typed("approve", "rollouts-a", "--kubeconfig", str(server.kubeconfig)) == 0
    approved = await rollout(server, "rollouts-a")
    assert person(manager_of(approved, "status", "canaryStatus", "currentStepState")) == "admin"


async def test_one_that_cannot_be_approved_leaves_all_as_they_are(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    code = await typed("approve", "rollouts-a", "rollouts-b", "--kubeconfig", str(server.kubeconfig))
    assert code == Exit.REFUSED
    assert "is not 'StepPaused'" in capsys.readouterr().err
    assert dig(await rollout(server, "rollouts-a"), "status", "canaryStatus", "currentStepState") == "StepPaused"


async def test_an_approval_outlives_a_harmless_change_made_meanwhile(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    stale = await rollout(server, "rollouts-a")
    await server.client.patch(ROLLOUT, "rollouts-a", "default", {"metadata": {"labels": {"team": "x"}}})
    await release_verbs._change(server.client, Wish(approve, ("rollouts-a",)), stale)
    assert dig(await rollout(server, "rollouts-a"), "status", "canaryStatus", "currentStepState") == "StepReady"


async def test_an_approval_never_reaches_a_revision_its_author_did_not_see(server: Server) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    seen = await rollout(server, "rollouts-a")
    await pause_release(server, "rollouts-a", revision="r3")
    with pytest.raises(Refused, match="it now releases revision r3"):
        await release_verbs._change(server.client, Wish(approve, ("rollouts-a",)), seen)
    assert dig(await rollout(server, "rollouts-a"), "status", "canaryStatus", "currentStepState") == "StepPaused"


async def test_an_approval_may_be_bound_to_a_revision_and_a_step(server: Server) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    scope = Scope(server.kubeconfig)
    with pytest.raises(Refused, match="now releases revision r2, not r1"):
        await carry_out(Wish(approve, ("rollouts-a",), revision="r1"), scope)
    with pytest.raises(Refused, match="is in step 1, not in step 2"):
        await carry_out(Wish(approve, ("rollouts-a",), step=2), scope)
    await carry_out(Wish(approve, ("rollouts-a",), revision="r2", step=1), scope)


async def test_an_abort_leaves_its_annotation_and_waits_for_the_end(server: Server) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    waiting = asyncio.create_task(carry_out(Wish(abort, ("rollouts-a",)), Scope(server.kubeconfig), 20))

    async def is_asked_for() -> bool:
        return "graylane.dev/abort" in annotations_of(await rollout(server, "rollouts-a"))

    await eventually(is_asked_for, 30, "the abort annotation")
    conditions = [
        {"type": "Succeeded", "status": "False", "reason": "Aborted", "message": "aborted by request"},
        {"type": "Progressing", "status": "False", "reason": "Completed", "message": "cancelled"},
    ]
    status = {"status": {"phase": "Healthy", "conditions": conditions}}
    await server.client.patch(ROLLOUT, "rollouts-a", "default", status, subresource="status")
    await waiting


async def test_only_an_abort_that_was_granted_tells_what_follows(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    kubeconfig = ("--kubeconfig", str(server.kubeconfig))
    assert await typed("abort", "rollouts-a", "nosuch", *kubeconfig) == Exit.NOT_FOUND
    assert "routes are restored" not in capsys.readouterr().err
    assert await typed("abort", "rollouts-a", *kubeconfig) == 0
    assert "routes are restored" in capsys.readouterr().err


async def test_a_wait_that_is_not_met_says_what_the_object_says(server: Server) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    with pytest.raises(GaveUp, match="the end of rollout rollouts-a's release; it says: Rollout is in step"):
        await carry_out(Wish(abort, ("rollouts-a",)), Scope(server.kubeconfig), 0.2)


async def test_pause_and_resume_are_a_pair(server: Server) -> None:
    await applied(server)
    kubeconfig = ("--kubeconfig", str(server.kubeconfig))
    assert await typed("pause", "rollouts-a", *kubeconfig) == 0
    assert await typed("pause", "rollouts-a", *kubeconfig) == Exit.REFUSED
    assert dig(await rollout(server, "rollouts-a"), "spec", "strategy", "paused") is True
    assert await typed("resume", "rollouts-a", *kubeconfig) == 0


async def test_what_was_changed_is_printed_as_kubectl_prints_it(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(server)
    both, kubeconfig = ("rollouts-a", "rollouts-b"), ("--kubeconfig", str(server.kubeconfig))
    await pause_release(server, *both)

    async def told(*words: str) -> str:
        assert await typed(*words, *kubeconfig) == 0
        return capsys.readouterr().out

    assert (await told("pause", *both, "-o", "name")).split() == [f"rollout.rollouts.kruise.io/{name}" for name in both]
    resumed = json.loads(await told("resume", "rollouts-a", "-o", "json"))
    assert (resumed["kind"], resumed["spec"]["strategy"]["paused"]) == ("Rollout", False)
    assert "managedFields" not in resumed["metadata"]
    documents = list(yaml.safe_load_all(await told("approve", *both, "-o", "yaml")))
    assert [dig(each, "status", "canaryStatus", "currentStepState") for each in documents] == ["StepReady"] * 2
    aborted = asyncio.create_task(told("abort", "rollouts-a", "--wait", "-o", "json"))
    await eventually(lambda: annotation_of(server, "rollouts-a"))
    await server.client.patch(ROLLOUT, "rollouts-a", "default", {"status": OVER}, subresource="status")
    assert json.loads(await aborted)["status"]["phase"] == "Healthy", "of who waits, what it is in the end"


OVER = {
    "phase": "Healthy",
    "conditions": [{"type": "Succeeded", "status": "False", "reason": "Aborted", "message": "aborted"}],
}


async def annotation_of(server: Server, name: str) -> bool:
    return "graylane.dev/abort" in annotations_of(await rollout(server, name))


async def test_a_rollout_that_does_not_exist_is_named(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    kubeconfig = ("--kubeconfig", str(server.kubeconfig))
    for verb in ("approve", "abort", "status"):
        assert await typed(verb, "nosuch", *kubeconfig) == Exit.NOT_FOUND
        assert '"nosuch" not found' in capsys.readouterr().err


async def test_a_stream_of_documents_is_one_json_to_a_line(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    command = ("status", "-w", "-o", "json", "--until", "paused", "--timeout", "60")
    watching = asyncio.create_task(typed(*command, "--kubeconfig", str(server.kubeconfig)))
    told = Told(capsys)
    await eventually(lambda: "rollouts-b" in told.text, 30, "a first document")
    await pause_release(server, "rollouts-b")
    assert await watching == 0
    documents = [json.loads(line) for line in told.text.splitlines()]
    assert len(documents) >= 2
    assert [release["phase"] for release in documents[0]["releases"]] == ["Progressing", "Unknown"]
    assert all(release["state"] == "StepPaused" for release in documents[-1]["releases"])
    assert documents[0]["at"].endswith("Z")


class Told:
    """What a verb has printed so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self._text = capsys, ""

    @property
    def text(self) -> str:
        self._text += self._capsys.readouterr().out
        return self._text


async def test_a_release_that_is_deleted_ends_the_wait_for_it(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    command = ("status", "rollouts-a", "--until", "done", "--timeout", "60", "--kubeconfig", str(server.kubeconfig))
    watching = asyncio.create_task(typed(*command))
    told = Told(capsys)
    await eventually(lambda: "rollouts-a" in told.text, 30, "a first look")
    await server.client.delete(ROLLOUT, "rollouts-a", "default")
    assert await watching == Exit.RELEASE_DROPPED
    assert "rollout rollouts-a was deleted" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("--watch",), ("--until", "paused")])
async def test_a_server_that_refuses_us_is_told_at_once_and_not_waited_for(
    server: Server, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = server.kubeconfig.with_name("stranger")
    stranger.write_text(re.sub("token: .*", "token: nobody-knows-it", server.kubeconfig.read_text()))
    assert await typed("status", *arguments, "--kubeconfig", str(stranger)) == Exit.REFUSED
    assert "does not accept the kubeconfig's credentials" in capsys.readouterr().err


async def test_status_shows_the_chain_as_text_and_as_documents(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    kubeconfig = ("--kubeconfig", str(server.kubeconfig))
    assert await typed("status", *kubeconfig) == 0
    text = capsys.readouterr().out
    assert "entry sample-gateway, host *" in text
    assert "└ mockb" in text
    assert "waiting" in text
    assert "next: graylane approve rollouts-a" in text
    assert "\x1b[" not in text
    assert await typed("status", "-o", "json", *kubeconfig) == 0
    document = json.loads(capsys.readouterr().out)
    assert [hop["service"] for hop in document["entries"][0]["hops"]] == ["mocka", "mockb"]
    assert document["releases"][0]["next"] == ["graylane approve rollouts-a", "graylane abort rollouts-a"]


async def test_an_empty_namespace_says_how_to_begin(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert await typed("status", "--kubeconfig", str(server.kubeconfig)) == 0
    assert "graylane demo" in capsys.readouterr().out


async def test_watching_ends_when_every_release_waits(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a")
    watching = asyncio.create_task(
        typed("status", "--until", "paused", "--timeout", "60", "--kubeconfig", str(server.kubeconfig))
    )
    await pause_release(server, "rollouts-b")
    assert await watching == 0
    assert re.search("release rollouts-b .* waiting.*: approval", capsys.readouterr().out)


async def test_watching_until_done_fails_with_a_release_that_failed(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(server)
    failed = {"type": "Succeeded", "status": "False", "reason": "Aborted", "message": "aborted by request"}
    status = {"status": {"phase": "Healthy", "conditions": [failed]}}
    await server.client.patch(ROLLOUT, "rollouts-a", "default", status, subresource="status")
    code = await typed("status", "rollouts-a", "--until", "done", "--kubeconfig", str(server.kubeconfig))
    assert code == Exit.RELEASE_ABORTED
    told = capsys.readouterr().err
    assert "is at rest, nothing is being released; its last release did not succeed: aborted by request" in told


async def test_watching_ends_with_a_release_that_stands_past_its_deadline(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(server)
    failed = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "no progress"}
    status = {"status": {"phase": "Progressing", "message": "Rollout failed in step(1/1)", "conditions": [failed]}}
    await server.client.patch(ROLLOUT, "rollouts-a", "default", status, subresource="status")
    code = await typed("status", "rollouts-a", "--until", "paused", "--kubeconfig", str(server.kubeconfig))
    assert code == Exit.RELEASE_FAILED
    assert "rollout rollouts-a waits for somebody to mend or abort it" in capsys.readouterr().err


async def test_a_server_that_is_gone_is_one_line_and_a_code_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n"
    )
    assert await typed("status", "--kubeconfig", str(kubeconfig)) == Exit.UNREACHABLE
    assert capsys.readouterr().err.count("\n") == 1


async def test_applying_keeps_what_the_server_and_others_added(server: Server) -> None:
    await applied(server)
    await server.client.patch(DEPLOYMENT, "mocka-base", "default", {"spec": {"replicas": 3, "minReadySeconds": 5}})
    (first, *_) = [item for item in read([scenario()]) if item.object["kind"] == "Deployment"]
    await Applier(server.client, "default").apply([first], lambda _: None)
    live = await server.client.get(DEPLOYMENT, "mocka-base", "default")
    assert (live["spec"]["replicas"], live["spec"]["minReadySeconds"]) == (1, 5)


async def test_rights_in_one_namespace_are_enough_to_follow_its_chain(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(server)
    await pause_release(server, "rollouts-a", "rollouts-b")
    stranger = await account_of_one_namespace(server)
    assert await typed("status", "--until", "paused", "--timeout", "60", "--kubeconfig", str(stranger)) == 0
    assert re.search("release rollouts-b .* waiting.*: approval", capsys.readouterr().out)


async def account_of_one_namespace(server: Server) -> Path:
    """A kubeconfig whose token may read everything in `default`, and nothing elsewhere."""
    client, rbac = server.client, "rbac.authorization.k8s.io"
    await client.create(SERVICE_ACCOUNT, {"metadata": {"name": "reader", "namespace": "default"}})
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    role = Kind(rbac, "v1", "Role", "roles")
    await client.create(role, {"metadata": {"name": "reader", "namespace": "default"}, "rules": rules})
    binding = {
        "metadata": {"name": "reader", "namespace": "default"},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
    }
    await client.create(Kind(rbac, "v1", "RoleBinding", "rolebindings"), binding)
    path = "/api/v1/namespaces/default/serviceaccounts/reader/token"
    answer = json.loads(await client.request("POST", path, body=b'{"spec": {}}'))
    kubeconfig = server.kubeconfig.with_name("reader")
    kubeconfig.write_text(re.sub("token: .*", f"token: {answer['status']['token']}", server.kubeconfig.read_text()))
    return kubeconfig


async def test_a_rollout_that_is_not_there_is_told_with_those_like_it(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(server)
    told = 'rollouts.rollouts.kruise.io "rollout-a" not found in namespace'
    for verb in ("approve", "pause", "resume", "abort", "undo", "history", "status"):
        named = ("rollout-a", "--kubeconfig", str(server.kubeconfig))
        assert await typed(verb, *named) == Exit.NOT_FOUND
        assert capsys.readouterr().err == f"graylane: {told} default; did you mean rollouts-a or rollouts-b?\n"
    assert await typed("approve", *named, "-n", "shop") == Exit.NOT_FOUND
    assert f"{told} shop; there is none" in capsys.readouterr().err
