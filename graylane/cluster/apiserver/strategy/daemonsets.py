"""DaemonSets: an annotation counts their templates, as older clients expect.

Pure. In: DaemonSets. Out: DaemonSets with `deprecated.daemonset.template.generation`.
"""

from __future__ import annotations

from datetime import datetime

from graylane.cluster.apiserver.strategy.base import Strategy
from graylane.model.meta import Obj, annotations_of, dig

_COUNT = "deprecated.daemonset.template.generation"


def _create(daemon_set: Obj, now: datetime) -> Obj:
    return _counted(daemon_set, 1)


def _update(new: Obj, old: Obj) -> Obj:
    before = annotations_of(old).get(_COUNT, "1")
    changed = dig(new, "spec", "template") != dig(old, "spec", "template")
    return _counted(new, int(before) + changed if before.isdigit() else 1)


def _counted(daemon_set: Obj, count: int) -> Obj:
    annotations = {**annotations_of(daemon_set), _COUNT: str(count)}
    return {**daemon_set, "metadata": {**daemon_set["metadata"], "annotations": annotations}}


DAEMON_SETS = Strategy(create=_create, update=_update)
