"""Events: those of old, and those of events.k8s.io, which must say more.

Pure. In: the new object and, on update, the old one. Out: field errors. Follows `core/validation/events.go`.
"""

from __future__ import annotations

from graylane.cluster.apiserver.schema.fielderror import forbidden, invalid, too_long
from graylane.cluster.apiserver.schema.validate.checks import Errors, needed, one_of
from graylane.model.meta import Obj, dig

_LONGEST_NOTE = 1024
_DEPRECATED = ("deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount")


def of_core(new: Obj, old: Obj | None) -> Errors:
    yield from _same_namespace(new, "involvedObject")


def of_group(new: Obj, old: Obj | None) -> Errors:
    """An event that was written as core/v1 is shown here too, and may be changed without becoming complete."""
    yield from _same_namespace(new, "regarding")
    if old is not None and not old.get("eventTime"):
        return
    for name in ("eventTime", "reportingController", "reportingInstance", "action", "reason"):
        yield from needed(new, name, "")
    yield from one_of(new, "type", "", ("Normal", "Warning"))
    if len(new.get("note") or "") > _LONGEST_NOTE:
        yield too_long("note", _LONGEST_NOTE)
    if new.get("series") and (dig(new, "series", "count", default=0) < 2):
        yield invalid("series.count", dig(new, "series", "count", default=0), "should be at least 2")
    yield from (forbidden(name, "needs to be unset") for name in _DEPRECATED if new.get(name))


def _same_namespace(event: Obj, subject: str) -> Errors:
    about, own = dig(event, subject, "namespace", default=""), dig(event, "metadata", "namespace", default="")
    if about != own and not (not about and own == "default"):
        yield invalid(f"{subject}.namespace", about, "does not match event.namespace")
