"""How many pods a PodDisruptionBudget lets go, told row by row: `healthy/needed of expected`, then how many may go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graylane.model.kinds import POD, POD_DISRUPTION_BUDGET
from graylane.model.meta import Obj, condition, dig, format_time, name_of, uid_of

from .stage import NS, Stage, deployment
from .table import tell


def budget(**spec: object) -> Obj:
    selector = {"matchLabels": {"app": "web"}}
    return {"metadata": {"name": "web", "namespace": NS}, "spec": {"selector": selector} | spec}


class Guarded(Stage):
    """Deployment `web` of four pods, and a budget for them."""

    def __init__(self, spec: Obj) -> None:
        super().__init__(deployment(4))
        self.world.put(POD_DISRUPTION_BUDGET, spec)

    def verbs(self) -> dict[str, Callable[..., object]]:
        return super().verbs() | {
            r"an eviction is allowed": self.allow,
            r"and comes": lambda: self.world.delete(POD, NS, name_of(self.pods()[0])),
            r"min available (\S+)": lambda least: self.edit({"minAvailable": _number(least)}),
            r"a pod of nobody's": lambda: self.world.put(POD, _single("alone")),
            r"a pod of a stranger's": self.strange,
        }

    def allow(self) -> None:
        """As `pods/eviction` notes it."""
        name, left = name_of(self.pods()[0]), dig(self.seen(), "status", "disruptionsAllowed") - 1
        status = {"disruptedPods": {name: format_time(self.world.now())}, "disruptionsAllowed": left}
        self.world.patch(POD_DISRUPTION_BUDGET, NS, "web", {"status": status}, "status")

    def strange(self) -> None:
        """Its controller is there, but is of a kind whose size nobody knows."""
        owner = {"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "name": "x", "controller": True}
        self.world.put(POD, _single("strange", owner | {"uid": uid_of(self.deployment())}))

    def edit(self, spec: Obj) -> None:
        self.world.patch(POD_DISRUPTION_BUDGET, NS, "web", {"spec": spec})

    def seen(self) -> Obj:
        found = self.world.get(POD_DISRUPTION_BUDGET, NS, "web")
        assert found is not None
        return found

    def columns(self) -> dict[str, Callable[[], object]]:
        allowed = {"allowed": lambda: self._status("disruptionsAllowed")}
        return super().columns() | {"counts": self._counts, "why": self._why} | allowed

    def _counts(self) -> str:
        return f"{self._status('currentHealthy')}/{self._status('desiredHealthy')} of {self._status('expectedPods')}"

    def _status(self, name: str) -> object:
        return dig(self.seen(), "status", name, default=0)

    def _why(self) -> str:
        assert self.seen()["status"]["observedGeneration"] == self.seen()["metadata"]["generation"]
        return str((condition(self.seen(), "DisruptionAllowed") or {})["reason"])


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _single(name: str, *owners: Obj) -> Obj:
    metadata = {"name": name, "namespace": NS, "labels": {"app": "web"}, "ownerReferences": list(owners)}
    return {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "v1"}]}}


STORIES = {
    "as many as are healthy beyond the least": (
        {"minAvailable": 3},
        """
        what              ‖ counts   | allowed | why
        create            ‖ 0/3 of 4 | 0       | InsufficientPods
        3 ready           ‖ 3/3 of 4 | 0       | InsufficientPods
        all ready         ‖ 4/3 of 4 | 1       | SufficientPods
        min available 2   ‖ 4/2 of 4 | 2       | SufficientPods
        min available 75% ‖ 4/3 of 4 | 1       | SufficientPods
        """,
    ),
    "as many as may be missing, of what the Deployment wants": (
        {"maxUnavailable": "30%"},
        """
        what             ‖ counts     | allowed | why
        all ready        ‖ 4/2 of 4   | 2       | SufficientPods
        a pod is deleted ‖ 3/2 of 4   | 1       | SufficientPods
        scale 10         ‖ 3/7 of 10  | 0       | InsufficientPods
        all ready        ‖ 10/7 of 10 | 3       | SufficientPods
        """,
    ),
    "one that was allowed counts as gone until it is, or for two minutes": (
        {"maxUnavailable": 1},
        """
        what                   ‖ counts   | allowed | why
        all ready              ‖ 4/3 of 4 | 1       | SufficientPods
        an eviction is allowed ‖ 3/3 of 4 | 0       | InsufficientPods
        119 seconds            ‖ 3/3 of 4 | 0       | InsufficientPods
        2 seconds              ‖ 4/3 of 4 | 1       | SufficientPods
        an eviction is allowed ‖ 3/3 of 4 | 0       | InsufficientPods
        and comes              ‖ 3/3 of 4 | 0       | InsufficientPods
        all ready              ‖ 4/3 of 4 | 1       | SufficientPods
        """,
    ),
    "pods that nobody controls count by number alone": (
        {"minAvailable": 2},
        """
        what              ‖ counts   | allowed | why
        all ready         ‖ 4/2 of 4 | 2       | SufficientPods
        a pod of nobody's ‖ 4/2 of 5 | 2       | SufficientPods
        min available 50% ‖ 4/2 of 4 | 2       | SufficientPods
        """,
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_budget_counts_its_pods(name: str) -> None:
    spec, story = STORIES[name]
    stage = Guarded(budget(**spec))
    tell(story, stage.act, stage.columns())
    writes = stage.world.writes
    stage.world.run(stage.controllers)
    assert stage.world.writes == writes


def test_where_it_cannot_be_counted_nothing_may_go_and_that_is_said() -> None:
    stage = Guarded(budget(maxUnavailable=2))
    stage.act("all ready")
    stage.act("a pod of a stranger's")
    status = stage.seen()["status"]
    told = condition(stage.seen(), "DisruptionAllowed")
    assert told is not None
    assert (status["disruptionsAllowed"], told["reason"]) == (0, "SyncFailed")
    assert told["message"] == 'found no controllers for pod "strange"'
    said = [event for event in stage.world.events if event.kind == POD_DISRUPTION_BUDGET]
    assert [event.reason for event in said] == ["CalculateExpectedPodCountFailed"]


@pytest.mark.parametrize(("selector", "expected"), [({}, 4), (None, 0)])
def test_an_empty_selector_means_everybody_a_missing_one_nobody(selector: Obj | None, expected: int) -> None:
    stage = Guarded(budget(minAvailable=1, selector=selector))
    stage.act("all ready")
    assert stage.seen()["status"]["expectedPods"] == expected
