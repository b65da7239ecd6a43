"""Load on pods of a World: what they use, as the resource metrics API would tell it.

Pure but for what tests set. In: pods that are ready, and how much there is to do. Out: `Readings` in virtual time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from graylane.cluster.workloads.autoscaling.metrics import Readings
from graylane.kit.world import World
from graylane.model.kinds import POD
from graylane.model.meta import dig, format_time, is_deleting, is_true, name_of
from graylane.model.selectors import LabelSelector


@dataclass
class Load:
    """`cpu` thousandths of cores are shared by the ready pods of a selector; each holds `memory` MiB.

    `unseen` pods are not told of, and with `trouble` the API says only that.
    """

    world: World
    cpu: int = 0
    memory: int = 10
    window: int = 15
    unseen: set[str] = field(default_factory=set)
    trouble: str = ""
    asked: int = 0

    def ask(self, namespace: str, selector: LabelSelector) -> Readings:
        self.asked += 1
        if self.trouble:
            return Readings(trouble=self.trouble)
        pods = [pod for pod in self.world.view().list(POD, namespace, selector) if not is_deleting(pod)]
        ready = [pod for pod in pods if is_true(pod, "Ready")]
        share = self.cpu // len(ready) if ready else 0
        shown = [pod for pod in ready if name_of(pod) not in self.unseen]
        usage = {"cpu": f"{share}m", "memory": f"{self.memory}Mi"}
        return Readings(
            tuple(
                {
                    "metadata": {"name": name_of(pod)},
                    "timestamp": format_time(self.world.now()),
                    "window": f"{self.window}s",
                    "containers": [
                        {"name": each["name"], "usage": usage} for each in dig(pod, "spec", "containers", default=[])
                    ],
                }
                for pod in shown
            )
        )
