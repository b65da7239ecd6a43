"""`matchConditions`: a webhook is asked only about changes for which all of these expressions hold.

Pure. In: a webhook, and the request as the webhook would see it. Out: whether to ask; `Undecided` when an expression
fails and none says no, which `failurePolicy` then decides. Without the extra `cel` every webhook is asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.cluster.apiserver import cel
from graylane.cluster.apiserver.schema.fielderror import FieldError, invalid
from graylane.model.meta import Obj

_NAMES = ("object", "oldObject", "request")


class Undecided(Exception):
    """A condition could not be evaluated; the message names it."""


def hold(webhook: Obj, request: Obj) -> bool:
    conditions = webhook.get("matchConditions") or ()
    if not conditions or not cel.available():
        return True
    values = {"object": request["object"], "oldObject": request["oldObject"], "request": request}
    failed: list[str] = []
    for condition in conditions:
        try:
            if cel.program(condition["expression"], _NAMES).evaluate(values) is not True:
                return False
        except cel.Failed as error:
            failed.append(f"match condition {condition['name']}: {error}")
        except cel.NotServed:
            continue  # its author was warned
    if failed:
        raise Undecided("; ".join(failed))
    return True


def check(new: Obj, old: Obj | None) -> list[FieldError]:
    """Expressions that do not compile, for a webhook configuration that is written."""
    return [
        invalid(path, expression, f"compilation failed: {error}")
        for path, expression, error in _problems(new)
        if isinstance(error, cel.BadExpression)
    ]


def warnings(configuration: Obj) -> list[str]:
    """Which conditions are stored but not evaluated."""
    if not cel.available():
        named = [hook["name"] for hook in configuration.get("webhooks") or () if hook.get("matchConditions")]
        return [f"Graylane does not evaluate matchConditions of {', '.join(named)}; {cel.EXTRA}"] if named else []
    lacking = [(path, error) for path, _, error in _problems(configuration) if isinstance(error, cel.NotServed)]
    return [f"Graylane does not evaluate {path}: {error}" for path, error in lacking]


def _problems(configuration: Obj) -> Iterator[tuple[str, str, Exception]]:
    if not cel.available():
        return
    for number, webhook in enumerate(configuration.get("webhooks") or ()):
        for index, condition in enumerate(webhook.get("matchConditions") or ()):
            path = f"webhooks[{number}].matchConditions[{index}].expression"
            try:
                cel.program(condition.get("expression") or "", _NAMES)
            except (cel.BadExpression, cel.NotServed) as error:
                yield path, condition.get("expression") or "", error
