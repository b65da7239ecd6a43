"""What the present step of each release has changed: the canary's template beside base's, routes beside the user's own.

Pure. In: a `View`, releases. Out: diffs as lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graylane.chain.releases import Release
from graylane.chain.workloads import canaries_of, running_template
from graylane.cli.demo.diffs import diff
from graylane.kit.cache import View
from graylane.model.kinds import DEPLOYMENT, DESTINATION_RULE, VIRTUAL_SERVICE
from graylane.model.meta import Obj, dig, is_deleting, name_of
from graylane.model.revisions import bare_template
from graylane.trafficrouting.routes import original_of, recall


def step_diff(view: View, namespace: str, releases: Iterable[Release]) -> list[str]:
    found = [line for release in releases for line in _templates(view, namespace, release)]
    return [*found, *_routes(view, namespace)] or ["nothing differs: no release has changed anything"]


def _templates(view: View, namespace: str, release: Release) -> Iterator[str]:
    stable = view.get(DEPLOYMENT, namespace, release.workload.partition("/")[2])
    if stable is None:
        return
    for canary in canaries_of(view, stable):
        if not is_deleting(canary):
            yield f"{release.name}: canary Deployment {name_of(canary)}, like {name_of(stable)} but for"
            old, new = _only(stable, running_template(view, stable)), _only(canary, dig(canary, "spec", "template"))
            yield from (f"  {line}" for line in diff(old, new)[2:])


def _only(deployment: Obj, template: Obj) -> Obj:
    spec = {"template": bare_template(template)}
    return {"kind": "Deployment", "metadata": {"name": name_of(deployment)}, "spec": spec}


def _routes(view: View, namespace: str) -> Iterator[str]:
    for kind in (DESTINATION_RULE, VIRTUAL_SERVICE):
        for live in view.list(kind, namespace):
            memory = recall(live)
            if memory is None:
                continue
            before = {"kind": kind.kind, "metadata": {"name": name_of(live)}, "spec": original_of(live, memory)["spec"]}
            after = before | {"spec": live["spec"]}
            yield f"{kind.kind} {name_of(live)}, without the release and with it"
            yield from (f"  {line}" for line in diff(before, after)[2:])
