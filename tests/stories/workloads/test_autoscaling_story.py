"""A HorizontalPodAutoscaler follows the load: how far, how fast, and what it says, as Kubernetes' does."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from graylane.cluster.workloads.autoscaling.controller import Autoscaler
from graylane.errors import Forbidden
from graylane.kit.effects import Effect, Event, Outcome, Patch
from graylane.model.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER
from graylane.model.meta import Key, Obj, condition, dig, name_of
from graylane.testing.load import Load

from .stage import NS, Stage, deployment
from .table import tell

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
TYPES = ("AbleToScale", "ScalingActive", "ScalingLimited")


def requesting(replicas: int = 1, cpu: str = "100m") -> Obj:
    container = {"name": "app", "image": "v1", "resources": {"requests": {"cpu": cpu, "memory": "10Mi"}}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    return deployment(replicas, template=template)


def autoscaler(most: int = 10, metrics: tuple[Obj, ...] = (CPU,), **spec: object) -> Obj:
    """Of Deployment `web`: half of what its pods ask for shall be used."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    whole = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": most, "metrics": list(metrics)}
    return {"metadata": {"name": "web", "namespace": NS}, "spec": whole | spec}


class Scaled(Stage):
    """Pods are ready at once and long past their start when the autoscaler comes."""

    def __init__(self, spec: Obj | None = None, start: Obj | None = None) -> None:
        super().__init__(start or requesting(), hold=False)
        self.load = Load(self.world)
        self.scaler = Autoscaler(self.load.ask)
        self.world.run(self.controllers)
        self.world.clock.advance(3600)
        self.controllers.append(self.scaler.controller())
        self.world.put(HORIZONTAL_POD_AUTOSCALER, spec or autoscaler())
        self._told = 0

    def verbs(self) -> dict[str, Callable[..., object]]:
        return super().verbs() | {
            r"load (\d+)": lambda milli: setattr(self.load, "cpu", int(milli)),
            r"memory (\d+)": lambda amount: setattr(self.load, "memory", int(amount)),
            r"at most (\d+)": lambda count: self.edit({"maxReplicas": int(count)}),
            r"at least (\d+)": lambda count: self.edit({"minReplicas": int(count)}),
            r"metrics fail": lambda: setattr(self.load, "trouble", "the server is away"),
            r"metrics come back": lambda: setattr(self.load, "trouble", ""),
            r"one pod is not seen": lambda: self.load.unseen.add(name_of(self.pods()[0])),
            r"all pods are seen": self.load.unseen.clear,
            r"web is deleted": lambda: self.world.delete(DEPLOYMENT, NS, "web"),
            r"restart": self.restart,
        }

    def pass_time(self, seconds: int) -> None:
        until = self.world.now().timestamp() + seconds
        self.world.run(self.controllers, seconds=seconds)
        self.world.clock.advance(until - self.world.now().timestamp())

    def restart(self) -> None:
        """The controllers' process: what was only remembered is forgotten."""
        self.controllers[-1] = Autoscaler(self.load.ask).controller()

    def edit(self, patch: Obj) -> None:
        self.world.patch(HORIZONTAL_POD_AUTOSCALER, NS, "web", {"spec": patch})

    def wanted(self) -> int:
        return int(self.deployment()["spec"]["replicas"])

    def hpa(self) -> Obj:
        found = self.world.get(HORIZONTAL_POD_AUTOSCALER, NS, "web")
        assert found is not None
        return found

    def columns(self) -> dict[str, Callable[[], object]]:
        return super().columns() | {
            "wanted": lambda: dig(self.world.get(DEPLOYMENT, NS, "web"), "spec", "replicas", default=""),
            "status": lambda: "→".join(
                str(dig(self.hpa(), "status", name, default="")) for name in ("currentReplicas", "desiredReplicas")
            ),
            "use": self._use,
            "why": lambda: " ".join(filter(None, (self._reason(kind) for kind in TYPES))),
            "events": self._events,
        }

    def _use(self) -> str:
        found = dig(self.hpa(), "status", "currentMetrics", default=[])
        currents = (dig(each, each["type"][:1].lower() + each["type"][1:], "current", default={}) for each in found)
        return " ".join(" ".join(map(str, current.values())) or "?" for current in currents)

    def _reason(self, kind: str) -> str:
        entry = condition(self.hpa(), kind)
        if entry is None or entry["reason"] == "DesiredWithinRange":
            return ""
        return f"{'' if entry['status'] == 'True' else '!'}{entry['reason']}"

    def _events(self) -> str:
        fresh, self._told = self.world.events[self._told :], len(self.world.events)
        mine = (event for event in fresh if event.kind == HORIZONTAL_POD_AUTOSCALER)
        return ", ".join(_shortly(event) for event in mine if event.reason != "FailedComputeMetricsReplicas")


def _shortly(event: Event) -> str:
    """`4: cpu above target` where it says more."""
    match = re.fullmatch(r"New size: (\d+); reason: (.*)", event.message)
    if match is None:
        return event.reason
    reason = match[2].replace(" resource utilization (percentage of request)", "")
    return f"{match[1]}: {reason.replace('Current number of replicas ', '')}"


STORIES = {
    "up at once, down after five minutes": (
        {},
        """
        what        ‖ wanted | status | use      | events
        load 50     ‖ 1      | 1→1    | 50 50m   |
        load 260    ‖ 1      | 1→1    | 50 50m   |
        15 seconds  ‖ 4      | 1→4    | 260 260m | 4: cpu above target
        15 seconds  ‖ 6      | 4→6    | 65 65m   | 6: cpu above target
        load 60     ‖ 6      | 4→6    | 65 65m   |
        270 seconds ‖ 6      | 6→6    | 10 10m   |
        60 seconds  ‖ 2      | 2→2    | 30 30m   | 2: All metrics below target
        """,
    ),
    "a change within the tolerance is none": (
        {},
        """
        what       ‖ wanted | use    | why
        load 50    ‖ 1      | 50 50m | ReadyForNewScale ValidMetricFound
        load 55    ‖ 1      | 50 50m | ReadyForNewScale ValidMetricFound
        15 seconds ‖ 1      | 55 55m | ReadyForNewScale ValidMetricFound
        load 56    ‖ 1      | 55 55m | ReadyForNewScale ValidMetricFound
        15 seconds ‖ 2      | 56 56m | SucceededRescale ValidMetricFound
        """,
    ),
    "no faster than twice as many, nor further than its bounds": (
        {},
        """
        what       ‖ wanted | why                                               | events
        load 2000  ‖ 4      | SucceededRescale ValidMetricFound ScaleUpLimit    | 4: cpu above target
        15 seconds ‖ 8      | SucceededRescale ValidMetricFound ScaleUpLimit    | 8: cpu above target
        15 seconds ‖ 10     | SucceededRescale ValidMetricFound TooManyReplicas | 10: cpu above target
        at most 20 ‖ 20     | SucceededRescale ValidMetricFound TooManyReplicas | 20: cpu above target
        at most 6  ‖ 6      | SucceededRescale ValidMetricFound TooManyReplicas | 6: above Spec.MaxReplicas
        at least 7 ‖ 7      | SucceededRescale ValidMetricFound TooManyReplicas | 7: below Spec.MinReplicas
        """,
    ),
    "behavior: three pods a minute up, one each half a minute down, no window": (
        {
            "behavior": {
                "scaleUp": {"policies": [{"type": "Pods", "value": 3, "periodSeconds": 60}]},
                "scaleDown": {
                    "stabilizationWindowSeconds": 0,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}],
                },
            }
        },
        """
        what       ‖ wanted | why                                              | events
        load 2000  ‖ 4      | SucceededRescale ValidMetricFound ScaleUpLimit   | 4: cpu above target
        15 seconds ‖ 4      | ReadyForNewScale ValidMetricFound ScaleUpLimit   |
        45 seconds ‖ 7      | SucceededRescale ValidMetricFound ScaleUpLimit   | 7: cpu above target
        load 100   ‖ 7      | SucceededRescale ValidMetricFound ScaleUpLimit   |
        15 seconds ‖ 3      | SucceededRescale ValidMetricFound ScaleDownLimit | 3: All metrics below target
        15 seconds ‖ 3      | ReadyForNewScale ValidMetricFound ScaleDownLimit |
        15 seconds ‖ 2      | SucceededRescale ValidMetricFound                | 2: All metrics below target
        """,
    ),
    "behavior: up only after a minute of need, down never": (
        {
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 60},
                "scaleDown": {"selectPolicy": "Disabled"},
            }
        },
        """
        what        ‖ wanted | why
        load 50     ‖ 1      | ReadyForNewScale ValidMetricFound
        load 200    ‖ 1      | ReadyForNewScale ValidMetricFound
        15 seconds  ‖ 1      | ScaleUpStabilized ValidMetricFound
        45 seconds  ‖ 4      | SucceededRescale ValidMetricFound
        15 seconds  ‖ 4      | ReadyForNewScale ValidMetricFound
        load 10     ‖ 4      | ReadyForNewScale ValidMetricFound
        600 seconds ‖ 4      | ReadyForNewScale ValidMetricFound ScaleDownLimit
        """,
    ),
    "metrics that fail leave the size alone": (
        {},
        """
        what              ‖ wanted | use      | why                                        | events
        load 150          ‖ 3      | 150 150m | SucceededRescale ValidMetricFound          | 3: cpu above target
        metrics fail      ‖ 3      | 150 150m | SucceededRescale ValidMetricFound          |
        15 seconds        ‖ 3      | ?        | SucceededGetScale !FailedGetResourceMetric | FailedGetResourceMetric
        15 seconds        ‖ 3      | ?        | SucceededGetScale !FailedGetResourceMetric | FailedGetResourceMetric
        metrics come back ‖ 3      | ?        | SucceededGetScale !FailedGetResourceMetric |
        15 seconds        ‖ 3      | 50 50m   | ReadyForNewScale ValidMetricFound          |
        """,
    ),
    "a pod that nobody measures is taken to use nothing on the way up, all it may on the way down": (
        {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}},
        """
        what                ‖ wanted | use
        load 200            ‖ 4      | 200 200m
        one pod is not seen ‖ 4      | 200 200m
        15 seconds          ‖ 4      | 50 50m
        load 400            ‖ 4      | 50 50m
        15 seconds          ‖ 6      | 100 100m
        load 40             ‖ 6      | 100 100m
        15 seconds          ‖ 3      | 6 6m
        all pods are seen   ‖ 3      | 6 6m
        15 seconds          ‖ 1      | 13 13m
        """,
    ),
    "a target at zero is left alone, one out of bounds is put back": (
        {},
        """
        what           ‖ wanted | status | why                                | events
        load 50        ‖ 1      | 1→1    | ReadyForNewScale ValidMetricFound  |
        scale 0        ‖ 0      | 0→0    | SucceededGetScale !ScalingDisabled |
        scale 12       ‖ 10     | 12→10  | SucceededRescale !ScalingDisabled  | 10: above Spec.MaxReplicas
        web is deleted ‖        | 12→10  | SucceededRescale !ScalingDisabled  |
        15 seconds     ‖        | 12→10  | !FailedGetScale !ScalingDisabled   | FailedGetScale
        """,
    ),
    "a restart forgets recommendations, not what is decided": (
        {},
        """
        what        ‖ wanted | why
        load 200    ‖ 4      | SucceededRescale ValidMetricFound
        load 50     ‖ 4      | SucceededRescale ValidMetricFound
        restart     ‖ 4      | ScaleDownStabilized ValidMetricFound
        270 seconds ‖ 4      | ScaleDownStabilized ValidMetricFound
        45 seconds  ‖ 1      | SucceededRescale ValidMetricFound
        """,
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_an_autoscaler_follows_the_load(name: str) -> None:
    spec, story = STORIES[name]
    stage = Scaled(autoscaler(**spec))
    tell(story, stage.act, stage.columns())


def resource(name: str, **target: object) -> Obj:
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def of_container(container: str, **target: object) -> Obj:
    source = {"name": "cpu", "container": container, "target": target}
    return {"type": "ContainerResource", "containerResource": source}


@pytest.mark.parametrize(
    ("metric", "replicas", "current"),
    [
        (resource("cpu", averageUtilization=50), 4, {"averageUtilization": 200, "averageValue": "200m"}),
        (resource("cpu", averageValue="100m"), 2, {"averageValue": "200m"}),
        (resource("memory", averageUtilization=100), 3, {"averageUtilization": 300, "averageValue": "30Mi"}),
        (resource("memory", averageValue="15Mi"), 2, {"averageValue": "30Mi"}),
        (of_container("app", averageUtilization=100), 2, {"averageUtilization": 200, "averageValue": "200m"}),
    ],
)
def test_each_kind_of_target_is_told_with_what_is_used(metric: Obj, replicas: int, current: Obj) -> None:
    stage = Scaled(autoscaler(metrics=(metric,)))
    stage.load.memory = 30
    stage.act("load 200")
    assert stage.wanted() == replicas
    (shown,) = stage.hpa()["status"]["currentMetrics"]
    (source,) = (value for value in shown.values() if isinstance(value, dict))
    assert (shown["type"], source["current"]) == (metric["type"], current)


def test_of_several_metrics_the_one_that_wants_most_decides() -> None:
    stage = Scaled(autoscaler(metrics=(CPU, resource("memory", averageUtilization=100))))
    stage.load.memory = 30
    stage.act("load 50")
    assert (stage.wanted(), stage.columns()["use"]()) == (3, "50 50m 300 30Mi")
    said = "New size: 3; reason: memory resource utilization (percentage of request) above target"
    assert said in [event.message for event in stage.world.events]


PODS = {"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "9"}}}
MAIN = {"kind": "Ingress", "name": "main", "apiVersion": "networking.k8s.io/v1"}
OBJECT = {
    "type": "Object",
    "object": {"describedObject": MAIN, "metric": {"name": "hits"}, "target": {"type": "Value", "value": "9"}},
}
EXTERNAL = {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "9"}}}
NO_CUSTOM = "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"


@pytest.mark.parametrize(
    ("metric", "reason", "message"),
    [
        (PODS, "FailedGetPodsMetric", f"unable to get metric hits: {NO_CUSTOM}"),
        (OBJECT, "FailedGetObjectMetric", f"unable to get metric hits: Ingress on shop main/{NO_CUSTOM}"),
        (
            EXTERNAL,
            "FailedGetExternalMetric",
            "unable to get external metric shop/queue/nil: unable to fetch metrics from external metrics API: "
            "the server could not find the requested resource (get queue.external.metrics.k8s.io)",
        ),
        (
            of_container("side", averageUtilization=50),
            "FailedGetContainerResourceMetric",
            "failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)",
        ),
        (
            resource("pigeons", averageUtilization=50),
            "FailedGetResourceMetric",
            "failed to get pigeons utilization: did not receive metrics for targeted pods (pods might be unready)",
        ),
    ],
)
def test_a_metric_that_nobody_serves_is_said_in_kubernetes_words(metric: Obj, reason: str, message: str) -> None:
    stage = Scaled(autoscaler(metrics=(metric,)))
    stage.act("load 200")
    active = condition(stage.hpa(), "ScalingActive")
    assert active is not None
    assert (active["status"], active["reason"]) == ("False", reason)
    assert active["message"] == f"the HPA was unable to compute the replica count: {message}"
    assert ("Warning", reason, message) in [(each.type, each.reason, each.message) for each in stage.world.events]
    assert stage.wanted() == 1


def test_beside_a_metric_that_fails_another_may_raise_but_not_lower() -> None:
    stage = Scaled(autoscaler(metrics=(PODS, CPU), behavior={"scaleDown": {"stabilizationWindowSeconds": 0}}))
    stage.act("load 150")
    assert (stage.wanted(), stage.columns()["use"]()) == (3, "? 150 150m")
    stage.act("load 10")
    stage.act("60 seconds")
    assert (stage.wanted(), stage.columns()["why"]()) == (3, "SucceededGetScale !FailedGetPodsMetric")


def test_without_requests_there_is_no_percentage() -> None:
    stage = Scaled(start=deployment(1))
    stage.act("load 200")
    (pod,) = stage.pods()
    said = f"failed to get cpu utilization: missing request for cpu in container app of Pod {name_of(pod)}"
    summary = f"invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {said}"
    assert [event.message for event in stage.world.events[-2:]] == [said, summary]


def test_pods_that_two_autoscalers_would_count_are_left_to_neither() -> None:
    stage = Scaled()
    stage.world.put(HORIZONTAL_POD_AUTOSCALER, {**autoscaler(), "metadata": {"name": "rival", "namespace": NS}})
    stage.act("load 200")
    stage.act("15 seconds")
    active = condition(stage.hpa(), "ScalingActive")
    assert active is not None
    assert active["reason"] == "AmbiguousSelector"
    assert active["message"] == "pods by selector app=web are controlled by multiple HPAs: [shop/rival shop/web]"
    assert stage.wanted() == 1


def test_a_kind_that_is_not_scaled_here_is_refused_by_name() -> None:
    other = {"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "name": "web"}
    stage = Scaled(autoscaler(scaleTargetRef=other))
    stage.act("create")
    able = condition(stage.hpa(), "AbleToScale")
    assert able is not None
    assert able["reason"] == "FailedGetScale"
    assert "CloneSet in apps.kruise.io/v1alpha1 is none of the kinds that are scaled here" in able["message"]


def test_a_pod_that_is_starting_counts_for_nothing_yet() -> None:
    """Its CPU time is that of its start: two pods that just came do not raise the size further."""
    stage = Scaled()
    stage.act("load 150")
    stage.all_ready()
    stage.act("scale 5")
    stage.act("15 seconds")
    assert (stage.wanted(), stage.columns()["use"]()) == (5, "50 50m")
    stage.act("load 600")
    stage.act("15 seconds")
    assert stage.columns()["use"]() == "200 200m"
    assert stage.wanted() == 10, "200 % for three pods and nothing for two is 120 % on average, of 50 %: 12, at most 10"


def test_at_rest_it_asks_every_fifteen_seconds_and_writes_nothing() -> None:
    stage = Scaled()
    stage.act("load 50")
    asked, writes = stage.load.asked, stage.world.writes
    stage.act("60 seconds")
    assert (stage.load.asked - asked, stage.world.writes - writes) == (4, 0)
    stage.act("create")
    assert stage.load.asked - asked == 4, "nothing but time and its own spec makes it look"


def test_a_refused_size_is_tried_again() -> None:
    stage = Scaled()
    stage.act("load 50")
    refused = []

    def refuse(effect: Effect) -> None:
        if isinstance(effect, Patch) and effect.subresource == "scale" and len(refused) < 3:
            refused.append(effect)
            raise Forbidden("no more than one in this house")

    stage.world.before_write = refuse
    stage.load.cpu = 150
    stage.act("16 seconds")
    assert (len(refused), stage.wanted()) == (3, 3)


def test_what_is_said_of_a_refused_size() -> None:
    stage = Scaled()
    stage.load.cpu = 150
    outcome = stage.scaler.reconcile(stage.world.view(), Key(NS, "web"), stage.world.now())
    assert isinstance(outcome, Outcome)
    first = outcome.effects[0]
    assert isinstance(first, Patch)
    event, kept = first.consequences("no more than one in this house")
    assert isinstance(event, Event)
    assert (event.type, event.reason) == ("Warning", "FailedRescale")
    assert event.message == (
        "New size: 3; reason: cpu resource utilization (percentage of request) above target; "
        "error: no more than one in this house"
    )
    assert isinstance(kept, Patch)
    (able,) = kept.patch["status"]["conditions"]
    assert (able["type"], able["status"], able["reason"]) == ("AbleToScale", "False", "FailedUpdateScale")
