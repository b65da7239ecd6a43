"""`x-kubernetes-validations`: what a custom kind demands beyond types, in CEL.

Pure. In: a CRD's `openAPIV3Schema`; then objects, with the one they replace. Out: a `Spot`, the part of the schema that
holds rules; field errors in kube-apiserver's words. A rule that speaks of `oldSelf` is judged only where an old value
is known; a value that did not change is not blamed for breaking a rule that came later.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from graylane.cluster.apiserver import cel
from graylane.cluster.apiserver.schema.fielderror import FieldError, duplicate, forbidden, invalid, required
from graylane.cluster.apiserver.schema.node import ABSENT
from graylane.model.meta import Obj, parse_time

Schema = Mapping[str, Any]
KEY = "x-kubernetes-validations"
_NAMES, _BOTH = ("self",), ("oldSelf", "self")
_KNOWN: Final = "oldSelf__known"
_HEAD: Schema = {"properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """`transition`: needs an old value. `born` is the program for new objects of a rule with `optionalOldSelf`."""

    text: str
    program: cel.Program
    transition: bool
    born: cel.Program | None = None
    message: str = ""
    explain: cel.Program | None = None
    reason: str = ""
    field_path: str = ""

    @property
    def named(self) -> str:
        return self.message.strip() or self.text.strip()

    @property
    def complaint(self) -> str:
        return self.message.strip() or f"failed rule: {self.text.strip()}"


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """A schema position with rules, or with rules somewhere inside."""

    schema: Schema
    rules: tuple[Rule, ...] = ()
    fields: Mapping[str, Spot] = field(default_factory=dict)
    items: Spot | None = None
    extra: Spot | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that is not evaluated: `served` is false when Graylane lacks a function, true when it is wrong."""

    path: str
    rule: str
    why: str
    served: bool


def compile_schema(schema: Schema) -> Spot | None:
    """None when there are no rules, or nothing to evaluate them with. Rules that do not compile are left out."""
    return _spot(schema, root=True) if cel.available() else None


def _spot(schema: Schema, *, root: bool = False) -> Spot | None:
    if root:
        schema = {**schema, "properties": {**(schema.get("properties") or {}), "metadata": _HEAD}}
    children = {name: spot for name, child in (schema.get("properties") or {}).items() if (spot := _spot(child))}
    items, extra = schema.get("items"), schema.get("additionalProperties")
    spot = Spot(
        schema=schema,
        rules=tuple(rule for written in schema.get(KEY) or () if (rule := _rule(written)) is not None),
        fields=children,
        items=_spot(items) if isinstance(items, Mapping) else None,
        extra=_spot(extra) if isinstance(extra, Mapping) else None,
    )
    return spot if spot.rules or spot.fields or spot.items or spot.extra else None


def problems(schema: Schema, path: str = "") -> Iterator[Problem]:
    """Every rule that cannot be evaluated, with where it stands in the schema."""
    for index, written in enumerate(schema.get(KEY) or ()):
        where = f"{path}.{KEY}[{index}].rule"
        try:
            _compiled(written)
        except cel.BadExpression as error:
            yield Problem(where, written.get("rule") or "", f"compilation failed: {error}", served=True)
        except cel.NotServed as error:
            yield Problem(where, written.get("rule") or "", str(error), served=False)
    for name, child in (schema.get("properties") or {}).items():
        yield from problems(child, f"{path}.properties[{name}]")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield from problems(schema[key], f"{path}.{key}")


def _rule(written: Obj) -> Rule | None:
    try:
        return _compiled(written)
    except (cel.BadExpression, cel.NotServed):
        return None


def _compiled(written: Obj) -> Rule:
    text, optional = written.get("rule") or "", bool(written.get("optionalOldSelf"))
    transition = not optional and cel.uses(text, "oldSelf", _NAMES)
    explain = written.get("messageExpression")
    known = f"cel.bind(oldSelf, optional.of({_KNOWN}), {text})"
    return Rule(
        text=text,
        program=cel.program(known, (_KNOWN, "self"))
        if optional
        else cel.program(text, _BOTH if transition else _NAMES),
        born=cel.program(f"cel.bind(oldSelf, optional.none(), {text})", _NAMES) if optional else None,
        transition=transition,
        message=written.get("message") or "",
        explain=cel.program(explain, _BOTH if cel.uses(explain, "oldSelf", _NAMES) else _NAMES) if explain else None,
        reason=written.get("reason") or "",
        field_path=written.get("fieldPath") or "",
    )


def check(spot: Spot, new: Any, old: Any, path: str = "") -> Iterator[FieldError]:
    """`old` is ABSENT where there is none to compare with."""
    if new is None and spot.schema.get("nullable"):
        return
    for rule in spot.rules:
        if error := _broken(spot, rule, new, old, path):
            yield error
    if isinstance(new, dict):
        yield from _check_object(spot, new, old, path)
    elif isinstance(new, list) and spot.items is not None:
        earlier = _by_keys(spot.schema, old)
        for index, item in enumerate(new):
            yield from check(spot.items, item, earlier.get(_keys(spot.schema, item), ABSENT), f"{path}[{index}]")


def _check_object(spot: Spot, new: Obj, old: Any, path: str) -> Iterator[FieldError]:
    before = old if isinstance(old, dict) else {}
    for name, value in new.items():
        child = spot.fields.get(name) or (spot.extra if name not in (spot.schema.get("properties") or {}) else None)
        if child is not None:
            here = f"{path}[{name}]" if child is spot.extra else (f"{path}.{name}" if path else name)
            yield from check(child, value, before.get(name, ABSENT), here)


def _by_keys(schema: Schema, old: Any) -> dict[Any, Any]:
    """Items of lists that are maps can be told apart; those of other lists have no earlier self."""
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return {}
    return {_keys(schema, item): item for item in old}


def _keys(schema: Schema, item: Any) -> Any:
    names = schema.get("x-kubernetes-list-map-keys") or ()
    return tuple(str(item.get(name)) for name in names) if isinstance(item, dict) else None


def _broken(spot: Spot, rule: Rule, new: Any, old: Any, path: str) -> FieldError | None:
    if old is ABSENT and rule.transition:
        return None
    values = {"self": shown(spot.schema, new)}
    if old is not ABSENT:
        values["oldSelf"] = values[_KNOWN] = shown(spot.schema, old)
    program = rule.born if rule.born is not None and old is ABSENT else rule.program
    where, kind = _where(rule, path), spot.schema.get("type") or "object"
    try:
        if program.evaluate(values) is True or (new == old and not rule.transition):
            return None
    except cel.Failed as error:
        return None if new == old else invalid(where, kind, f"{error} evaluating rule: {rule.named}")
    return _error(rule, where, kind, _explained(rule, values))


def _where(rule: Rule, path: str) -> str:
    """`fieldPath: .spec.x` or `.labels['a']` points below the place of the rule; the root itself has no name."""
    below = re.sub(r"\['?(.*?)'?\]", r"[\1]", rule.field_path).removeprefix("" if path else ".")
    return f"{path}{below}" or "<nil>"


def _explained(rule: Rule, values: Mapping[str, Any]) -> str:
    """`messageExpression` counts only when it gives one line of text."""
    if rule.explain is None:
        return rule.complaint
    try:
        text = rule.explain.evaluate(values)
    except cel.Failed:
        return rule.complaint
    good = isinstance(text, str) and text.strip() and "\n" not in text
    return text.strip() if good else rule.complaint


def _error(rule: Rule, path: str, kind: str, detail: str) -> FieldError:
    match rule.reason:
        case "FieldValueForbidden":
            return forbidden(path, detail)
        case "FieldValueRequired":
            return required(path, detail)
        case "FieldValueDuplicate":
            return duplicate(path, kind)
    return invalid(path, kind, detail)


# -- values as rules see them


def shown(schema: Schema, value: Any) -> Any:
    """Names made fit for CEL, times and bytes as what they are, whole numbers as the fractions their type says."""
    if isinstance(value, dict):
        fields, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        inner: Schema = extra if isinstance(extra, Mapping) else {}
        if schema.get("x-kubernetes-embedded-resource"):
            fields = {**fields, "metadata": fields.get("metadata") or _HEAD}
        return {
            escaped(name) if name in fields else name: shown(fields.get(name) or inner, v) for name, v in value.items()
        }
    if isinstance(value, list):
        items = schema.get("items")
        return [shown(items if isinstance(items, Mapping) else {}, item) for item in value]
    if isinstance(value, str):
        return _text(schema.get("format") or "", value)
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _text(form: str, value: str) -> Any:
    try:
        match form:
            case "date-time":
                return cel.moment(parse_time(value))
            case "date":
                return cel.moment(parse_time(f"{value}T00:00:00Z"))
            case "byte":
                return base64.b64decode(value, validate=True)
            case "duration":
                return cel.span(_duration(value))
    except (ValueError, binascii.Error):
        return value
    return value


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def _duration(text: str) -> timedelta:
    pieces = _PIECE.findall(text)
    if "".join(number + unit for number, unit in pieces) != text.lstrip("+-") or not pieces:
        raise ValueError(text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in pieces)
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


_RESERVED = frozenset(
    word
    for line in (
        "as break const continue else false for function if import in let loop namespace null package return true",
        "var void while",
    )
    for word in line.split()
)
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))


def escaped(name: str) -> str:
    """`a-b` → `a__dash__b`, `namespace` → `__namespace__`."""
    if name in _RESERVED:
        return f"__{name}__"
    for plain, written in _ESCAPES:
        name = name.replace(plain, written)
    return name
