"""Everything a step of the story may use.

Shell. In: a client, a recorder, an asker. Out: short verbs for the steps: apply, read, release, wait.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from graylane.chain.problems import Confirmation, confirmation
from graylane.cli.apply import Applier
from graylane.cli.demo.asking import Asker, Traffic
from graylane.cli.demo.narration import Narrator
from graylane.cli.demo.recorder import Recorder, role_by_label
from graylane.cli.demo.timeline import Rule, Timeline
from graylane.cli.examples import example
from graylane.cli.manifests import read
from graylane.cli.releasing import Verb
from graylane.client import ApiClient
from graylane.errors import Conflict
from graylane.kit.cache import View
from graylane.model.kinds import DEPLOYMENT, DESTINATION_RULE, POD, ROLLOUT, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, dig, is_deleting, labels_of, name_of
from graylane.model.patches import PatchType

NAMESPACE = "default"
APPS = ("mocka", "mockb")
ROLLOUTS = {"mocka": "rollouts-a", "mockb": "rollouts-b"}
ROUTES = ((VIRTUAL_SERVICE, "vs"), (DESTINATION_RULE, "dr"))
FILTER = "http-request-labelling-according-source"
PATIENCE_SECONDS = 60.0


@dataclass
class Stage:
    """One run. `originals` holds what finishing must restore; `start` is when the current step began."""

    client: ApiClient
    recorder: Recorder
    asker: Asker
    traffic: Traffic
    timeline: Timeline
    narrator: Narrator
    originals: dict[str, Obj] = field(default_factory=dict)
    base_pods: list[Obj] = field(default_factory=list)
    start: float = 0.0

    async def apply(self, *files: str) -> None:
        manifests = read([example(file) for file in files])
        await Applier(self.client, NAMESPACE).apply(manifests, self.narrator.progress)

    async def read(self, kind: Kind, *names: str) -> list[Obj]:
        """Fresh from the API: the named objects, or all of the kind."""
        if names:
            return list(await asyncio.gather(*(self.client.get(kind, name, NAMESPACE) for name in names)))
        return (await self.client.list(kind, NAMESPACE)).items

    async def pods(self, *, canary: bool) -> list[Obj]:
        pods = [pod for pod in await self.read(POD) if not is_deleting(pod)]
        return [pod for pod in pods if (role_by_label(pod) == "canary") is canary]

    async def deployments(self, *apps: str) -> list[Obj]:
        return await self.read(DEPLOYMENT, *(f"{app}-base" for app in apps or APPS))

    async def rollouts(self, *apps: str) -> list[Obj]:
        return await self.read(ROLLOUT, *(ROLLOUTS[app] for app in apps or APPS))

    async def routes(self, *apps: str) -> list[Obj]:
        """VirtualService and DestinationRule of each app."""
        return [
            item for app in apps or APPS for kind, short in ROUTES for item in await self.read(kind, f"{short}-{app}")
        ]

    async def set_version(self, app: str, version: str) -> None:
        """What `kubectl set env deploy/APP-base version=…` sends."""
        env = [{"name": "version", "value": version}]
        template = {"spec": {"containers": [{"name": "default", "env": env}]}}
        patch = {"spec": {"template": template}}
        await self.client.patch(DEPLOYMENT, f"{app}-base", NAMESPACE, patch, type=PatchType.STRATEGIC)

    async def do(self, verb: Verb, *apps: str) -> None:
        """Approve or abort, as the command line does it: read, decide, patch that very version."""
        for app in apps:
            await self._do(verb, ROLLOUTS[app])

    async def _do(self, verb: Verb, name: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                change = verb(await self.client.get(ROLLOUT, name, NAMESPACE))
                try:
                    await self.client.patch(ROLLOUT, name, NAMESPACE, change.patch, subresource=change.subresource)
                except Conflict:
                    continue
                return

    def mark(self, rule: Rule, *apps: str, at: float | None = None) -> None:
        for app in apps:
            self.timeline.mark(app, rule, time.monotonic() if at is None else at)

    def original(self, *apps: str) -> list[Obj]:
        return [self.originals[f"{short}-{app}"] for app in apps or APPS for _, short in ROUTES]

    def confirmed(self, view: View) -> bool:
        """Every VirtualService and DestinationRule of the scenario is what the proxies run."""
        found = [view.get(kind, NAMESPACE, f"{short}-{app}") for app in APPS for kind, short in ROUTES]
        return all(item is not None and confirmation(item) is Confirmation.CONFIRMED for item in found)

    async def logs(self, pod: Obj) -> str:
        path = POD.path(NAMESPACE, name_of(pod), "log")
        return (await self.client.request("GET", path)).decode(errors="replace")


def app_of(obj: Obj) -> str:
    return labels_of(obj).get("app", "")


def addresses(pods: list[Obj]) -> dict[str, str]:
    """Service → address of its pod."""
    return {app_of(pod): str(dig(pod, "status", "podIP")) for pod in pods}
