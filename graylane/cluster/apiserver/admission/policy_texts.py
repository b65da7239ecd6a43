"""The expressions of a ValidatingAdmissionPolicy when it is written: refused if wrong, named if not evaluated here.

Pure. In: a policy. Out: field errors and warnings.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.cluster.apiserver import cel
from graylane.cluster.apiserver.schema.fielderror import FieldError, invalid
from graylane.model.meta import Obj, dig, name_of

NAMES = ("namespaceObject", "object", "oldObject", "params", "request", "variables")


def check(new: Obj, old: Obj | None) -> list[FieldError]:
    return [
        invalid(path, expression, f"compilation failed: {error}")
        for path, expression, error in _problems(new)
        if isinstance(error, cel.BadExpression)
    ]


def warnings(policy: Obj) -> list[str]:
    if not cel.available():
        return [f"Graylane stores but does not evaluate the expressions of {name_of(policy)}; {cel.EXTRA}"]
    lacking = [(path, error) for path, _, error in _problems(policy) if isinstance(error, cel.NotServed)]
    return [f"Graylane does not evaluate {path}: {error}" for path, error in lacking]


def _problems(policy: Obj) -> Iterator[tuple[str, str, Exception]]:
    if not cel.available():
        return
    for part in ("matchConditions", "variables", "validations"):
        for index, item in enumerate(dig(policy, "spec", part) or ()):
            for field in ("expression", "messageExpression"):
                if field == "expression" or item.get(field):
                    try:
                        cel.program((item.get(field) or "").strip(), NAMES)
                    except (cel.BadExpression, cel.NotServed) as error:
                        yield f"spec.{part}[{index}].{field}", item.get(field) or "", error
