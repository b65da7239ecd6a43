"""Which version a Rollout's Deployment goes back to, and the patch that takes it there.

Pure. In: a Rollout, its Deployment and that one's ReplicaSets as just read. Out: `Undo`, or `Refused` with what would
help. Rules and sentences follow `kubectl rollout undo`; in the middle of a release "back" means the stable version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graylane.cli.exits import Refused
from graylane.model.meta import Obj, annotations_of, controller_of, dig, name_of, uid_of
from graylane.model.patches import create_merge_patch, merge_patch
from graylane.model.revisions import (
    DEPLOYMENT_REVISION,
    bare_template,
    hash_of,
    revision_of,
    template_of,
)
from graylane.model.rollout import IN_PROGRESSING, Phase


@dataclass(frozen=True, slots=True)
class Undo:
    """`patch` of the `present` Deployment is None where its template is already the wanted one. `afterwards`: what
    follows, or is left to do."""

    present: Obj
    revision: int
    patch: Obj | None
    afterwards: str

    @property
    def deployment(self) -> str:
        return name_of(self.present)

    def rehearsed(self) -> Obj:
        """The Deployment as it would be."""
        found: Obj = merge_patch(self.present, self.patch or {})
        return found

    @property
    def says(self) -> str:
        if self.patch is None:
            return f"deployment.apps/{self.deployment} skipped rollback (current template already matches it)"
        return f"deployment.apps/{self.deployment} rolled back to revision {self.revision}"


def undo(rollout: Obj, deployment: Obj, replica_sets: Iterable[Obj], to_revision: int = 0) -> Undo:
    """`to_revision` 0: the stable version during a release, else the one before the present."""
    own = [item for item in replica_sets if (controller_of(item) or {}).get("uid") == uid_of(deployment)]
    target = _numbered(own, to_revision, deployment) if to_revision else _before(rollout, deployment, own)
    template = bare_template(template_of(target))
    old = template_of(deployment)
    if revision_of(old) == revision_of(template):
        return Undo(deployment, number_of(target), None, _left(rollout, deployment))
    change = {
        "metadata": {"resourceVersion": deployment["metadata"]["resourceVersion"]},
        "spec": {"template": create_merge_patch(old, template)},
    }
    return Undo(deployment, number_of(target), change, _left(rollout, deployment) or _next(rollout))


def number_of(replica_set: Obj) -> int:
    """The Deployment's own count of its versions, as `kubectl rollout history` shows it; 0 when it is not there."""
    text = annotations_of(replica_set).get(DEPLOYMENT_REVISION, "")
    return int(text) if text.isdigit() else 0


def _numbered(sets: list[Obj], number: int, deployment: Obj) -> Obj:
    found = next((item for item in sets if number_of(item) == number), None)
    if found is None:
        known = ", ".join(str(number_of(item)) for item in sorted(sets, key=number_of)) or "none"
        raise Refused(f'deployment "{name_of(deployment)}" has no revision {number}; there are: {known}')
    return found


def _before(rollout: Obj, deployment: Obj, sets: list[Obj]) -> Obj:
    if _in_release(rollout):
        stable = str(dig(rollout, "status", "canaryStatus", "stableRevision", default=""))
        found = next((item for item in sets if stable and hash_of(item) == stable), None)
        if found is not None:
            return found
    present = revision_of(template_of(deployment))
    others = [item for item in sets if revision_of(template_of(item)) != present]
    if not others:
        raise Refused(
            f'deployment "{name_of(deployment)}" of rollout "{name_of(rollout)}" has no earlier revision to go back to'
        )
    return max(others, key=number_of)


def _in_release(rollout: Obj) -> bool:
    return str(dig(rollout, "status", "phase")) == Phase.PROGRESSING


def _left(rollout: Obj, deployment: Obj) -> str:
    """A Rollout that is disabled leaves a Deployment paused as it is; nobody but its owner may know why."""
    if not dig(deployment, "spec", "paused") or IN_PROGRESSING in annotations_of(deployment):
        return ""
    return (
        f"deployment.apps/{name_of(deployment)} is paused and rollout {name_of(rollout)} does not hold it: "
        f"`kubectl rollout resume deployment/{name_of(deployment)}` lets it roll"
    )


def _next(rollout: Obj) -> str:
    if _in_release(rollout):
        return "routes are restored first; then the canary pods go (follow: graylane status -w)"
    return f"a release of that version begins (follow: graylane status {name_of(rollout)} -w)"
