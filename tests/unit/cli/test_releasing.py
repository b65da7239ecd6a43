"""Release verbs: what they change, and when they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.cli.exits import Refused
from graylane.cli.releasing import Seen, abort, approve, parse_name, pause, resume
from graylane.errors import UserError


def rollout(state: str = "StepPaused", phase: str = "Progressing", paused: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"name": "x", "namespace": "default", "resourceVersion": "7"},
        "spec": {"strategy": {"paused": paused}},
        "status": {
            "phase": phase,
            "canaryStatus": {"currentStepState": state, "canaryRevision": "r2", "currentStepIndex": 1},
        },
    }


def test_approving_sets_step_ready_on_the_status_of_the_version_that_was_read() -> None:
    change = approve(rollout())
    assert change.patch == {
        "metadata": {"resourceVersion": "7"},
        "status": {"canaryStatus": {"currentStepState": "StepReady"}},
    }
    assert (change.subresource, change.says) == ("status", "rollout.rollouts.kruise.io/x approved")


def test_row_46_only_a_paused_step_can_be_approved() -> None:
    with pytest.raises(Refused, match=r'"x" does not allow to approve, because current canary state is not \'StepPaus'):
        approve(rollout("StepUpgrade"))


def test_aborting_names_the_revision_and_keeps_the_version_check() -> None:
    patch = abort(rollout()).patch
    assert patch == {"metadata": {"resourceVersion": "7", "annotations": {"graylane.dev/abort": "r2"}}}


@pytest.mark.parametrize("phase", ["Healthy", "Disabled", "Initial"])
def test_only_a_release_can_be_aborted(phase: str) -> None:
    with pytest.raises(Refused, match=f"is in no release: it is {phase}"):
        abort(rollout(phase=phase))


def test_an_abort_is_asked_for_once() -> None:
    aborting = rollout()
    aborting["metadata"]["annotations"] = {"graylane.dev/abort": "r2"}
    with pytest.raises(Refused, match="already being aborted"):
        abort(aborting)


def test_row_90_pause_and_resume_refuse_what_is_so_already() -> None:
    assert pause(rollout()).patch["spec"] == {"strategy": {"paused": True}}
    assert resume(rollout(paused=True)).patch["spec"] == {"strategy": {"paused": False}}
    with pytest.raises(Refused, match="is already paused"):
        pause(rollout(paused=True))
    with pytest.raises(Refused, match="is not paused"):
        resume(rollout())


@pytest.mark.parametrize("text", ["x", "rollout/x", "rollouts.rollouts.kruise.io/x"])
def test_names_come_with_or_without_their_type(text: str) -> None:
    assert parse_name(text) == "x"


@pytest.mark.parametrize("text", ["deploy/x", "rollout/", ""])
def test_other_types_and_empty_names_are_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_name(text)


def test_what_was_seen_is_the_revision_and_the_step() -> None:
    assert Seen.of(rollout()) == Seen("r2", 1)
    assert Seen.of({"metadata": {}}) == Seen("", 0)
