"""A kubelet for Worlds: pods that are said to run, become ready and stop, without any process.

Pure but for what tests set. In: pods with a node. Out: the status a kubelet would write, in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from graylane.kit import Controller, Delete, Outcome, Patch, View
from graylane.model.kinds import POD
from graylane.model.meta import Key, Obj, dig, format_time, is_deleting, key_of, parse_time, uid_of

NODE_OBJECT: Obj = {
    "metadata": {"name": "graylane"},
    "spec": {},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


@dataclass
class FakeKubelet:
    """Runs every pod of every node. `healthy` says which pods become ready; stopping takes `stop_seconds`."""

    healthy: Callable[[Obj], bool] = lambda _: True
    start_seconds: float = 0
    stop_seconds: float = 0
    addresses: int = 0

    def controller(self) -> Controller:
        return Controller("kubelet", POD, self.reconcile)

    def reconcile(self, view: View, key: Key, now: datetime) -> Outcome:
        pod = view.get(POD, *key)
        if pod is None or not dig(pod, "spec", "nodeName"):
            return Outcome()
        if is_deleting(pod):
            return self._stop(pod, now)
        return self._run(pod, now)

    def _stop(self, pod: Obj, now: datetime) -> Outcome:
        asked_at = parse_time(pod["metadata"]["deletionTimestamp"])
        gone_at = asked_at + timedelta(seconds=self.stop_seconds)
        if self.stop_seconds and now < gone_at:
            return Outcome(wake_at=gone_at)
        return Outcome((Delete(POD, key_of(pod), uid_of(pod), grace_seconds=0),))

    def _run(self, pod: Obj, now: datetime) -> Outcome:
        if dig(pod, "status", "phase") in ("Succeeded", "Failed"):
            return Outcome()
        due = parse_time(pod["metadata"]["creationTimestamp"]) + timedelta(seconds=self.start_seconds)
        ready = now >= due and self.healthy(pod)
        conditions = [entry for entry in dig(pod, "status", "conditions", default=[]) if entry["type"] != "Ready"]
        old = next((entry for entry in dig(pod, "status", "conditions", default=[]) if entry["type"] == "Ready"), None)
        entry = {"type": "Ready", "status": str(ready), "lastTransitionTime": format_time(now)}
        if old is not None and old["status"] == entry["status"]:
            entry = old
        status = {"phase": "Running" if now >= due else "Pending", "conditions": [*conditions, entry]}
        status["startTime"] = dig(pod, "status", "startTime", default=format_time(now))
        if not dig(pod, "status", "podIP"):
            self.addresses += 1
            status["podIP"] = f"127.20.{self.addresses // 250}.{self.addresses % 250 + 1}"
        patch = Patch(POD, key_of(pod), {"status": status}, subresource="status")
        return Outcome((patch,), wake_at=None if now >= due else due)
