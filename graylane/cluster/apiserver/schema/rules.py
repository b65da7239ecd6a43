"""The value validations of a structural schema, compiled to small functions that run one after another.

Pure. In: a schema's keywords (enum, pattern, minimum, oneOf …). Out: a tuple of rules; each takes a value and its path
and gives the errors kube-apiserver would. An unset keyword costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graylane.cluster.apiserver.schema import check, formats
from graylane.cluster.apiserver.schema.fielderror import (
    FieldError,
    invalid,
    not_supported,
    too_long,
    too_many,
    type_invalid,
)
from graylane.cluster.apiserver.schema.node import Node, Rule
from graylane.model import re2

Schema = Mapping[str, Any]
Compile = Callable[[Schema], Node]
Sizes = type[str] | type[list[Any]] | type[dict[str, Any]]


def compile_rules(schema: Schema, compile_node: Compile) -> tuple[Rule, ...]:
    """Rules in the order kube-apiserver reports them."""
    simple = [make(schema[keyword], schema) for keyword, make in _SIMPLE.items() if schema.get(keyword) is not None]
    combined = [make(schema[keyword], compile_node) for keyword, make in _COMBINED.items() if schema.get(keyword)]
    return (*simple, *combined)


def _enum(choices: list[Any], schema: Schema) -> Rule:
    def rule(value: Any, path: str) -> list[FieldError]:
        # A nullable field may be null whatever its choices are.
        allowed = value in choices or (value is None and schema.get("nullable"))
        return [] if allowed else [not_supported(path, value, choices)]

    return rule


def _pattern(pattern: str, schema: Schema) -> Rule:
    compiled = re2.compile_pattern(pattern)

    def rule(value: Any, path: str) -> list[FieldError]:
        if not isinstance(value, str) or compiled.search(value):
            return []
        return [invalid(path, value, f"{path} in body should match '{pattern}'")]

    return rule


def _format(name: str, schema: Schema) -> Rule:
    valid = formats.CHECKS.get(name)

    def rule(value: Any, path: str) -> list[FieldError]:
        if valid is None or not isinstance(value, str) or valid(value):
            return _out_of_range(name, schema, value, path)
        return [type_invalid(path, value, f'{path} in body must be of type {name}: "{value}"')]

    return rule


def _out_of_range(name: str, schema: Schema, value: Any, path: str) -> list[FieldError]:
    bits = {"int32": 31, "int64": 63}.get(name)
    if bits is None or not isinstance(value, int | float) or -(1 << bits) <= value < 1 << bits:
        return []
    detail = f"Checked value must be of type {schema.get('type', 'integer')} with format {name} in {path}"
    return [invalid(path, value, detail)]


def _number(good: Callable[[float, float], bool], phrase: str) -> Callable[[float, Schema], Rule]:
    def make(bound: float, schema: Schema) -> Rule:
        def rule(value: Any, path: str) -> list[FieldError]:
            if isinstance(value, bool) or not isinstance(value, int | float) or good(value, bound):
                return []
            return [invalid(path, value, f"{path} in body should be {phrase} {bound}")]

        return rule

    return make


_MAX = _number(lambda value, bound: value <= bound, "less than or equal to")
_MAX_EXCLUSIVE = _number(lambda value, bound: value < bound, "less than")
_MIN = _number(lambda value, bound: value >= bound, "greater than or equal to")
_MIN_EXCLUSIVE = _number(lambda value, bound: value > bound, "greater than")


def _maximum(bound: float, schema: Schema) -> Rule:
    return (_MAX_EXCLUSIVE if schema.get("exclusiveMaximum") else _MAX)(bound, schema)


def _minimum(bound: float, schema: Schema) -> Rule:
    return (_MIN_EXCLUSIVE if schema.get("exclusiveMinimum") else _MIN)(bound, schema)


def _sized(kind: Sizes, bad: Callable[[int, int], bool], say: Callable[[str, Any, int], FieldError]) -> Any:
    """A limit on the length of strings, lists or objects."""

    def make(limit: int, schema: Schema) -> Rule:
        def rule(value: Any, path: str) -> list[FieldError]:
            return [say(path, value, limit)] if isinstance(value, kind) and bad(len(value), limit) else []

        return rule

    return make


def _more(length: int, limit: int) -> bool:
    return length > limit


def _fewer(length: int, limit: int) -> bool:
    return length < limit


def _too_short(path: str, value: Any, limit: int) -> FieldError:
    return invalid(path, value, f"{path} in body should be at least {limit} chars long")


def _too_few_items(path: str, value: Any, limit: int) -> FieldError:
    return invalid(path, value, f"{path} in body should have at least {limit} items")


def _too_few_properties(path: str, value: Any, limit: int) -> FieldError:
    return invalid(path, value, f"{path} in body should have at least {limit} properties")


def _best(branches: list[list[FieldError]]) -> list[FieldError]:
    """The errors of the branch that came closest; kube-apiserver adds them to the summary."""
    return min(branches, key=len)


def _summary(path: str, sentence: str) -> FieldError:
    # kube-apiserver has no field for these: the path is inside the sentence, in front stands Go's nil.
    return FieldError("<nil>", "FieldValueInvalid", f'Invalid value: "": "{path}" {sentence}')


def _all_of(schemas: list[Schema], compile_node: Compile) -> Rule:
    nodes = [compile_node(schema) for schema in schemas]

    def rule(value: Any, path: str) -> list[FieldError]:
        found = [error for node in nodes for error in check.value_errors(node, value, path)]
        return [_summary(path, "must validate all the schemas (allOf)"), *found] if found else []

    return rule


def _any_of(schemas: list[Schema], compile_node: Compile) -> Rule:
    nodes = [compile_node(schema) for schema in schemas]

    def rule(value: Any, path: str) -> list[FieldError]:
        branches = [check.value_errors(node, value, path) for node in nodes]
        if not all(branches):
            return []
        return [_summary(path, "must validate at least one schema (anyOf)"), *_best(branches)]

    return rule


def _one_of(schemas: list[Schema], compile_node: Compile) -> Rule:
    nodes = [compile_node(schema) for schema in schemas]

    def rule(value: Any, path: str) -> list[FieldError]:
        branches = [check.value_errors(node, value, path) for node in nodes]
        valid = sum(not branch for branch in branches)
        if valid == 1:
            return []
        sentence = "must validate one and only one schema (oneOf)."
        if valid:
            return [_summary(path, f"{sentence} Found {valid} valid alternatives")]
        return [_summary(path, f"{sentence} Found none valid"), *_best(branches)]

    return rule


def _not(schema: Schema, compile_node: Compile) -> Rule:
    node = compile_node(schema)

    def rule(value: Any, path: str) -> list[FieldError]:
        return [] if check.value_errors(node, value, path) else [_summary(path, "must not validate the schema (not)")]

    return rule


def _multiple_of(factor: float, schema: Schema) -> Rule:
    def rule(value: Any, path: str) -> list[FieldError]:
        if isinstance(value, bool) or not isinstance(value, int | float) or (value / factor) == value // factor:
            return []
        return [invalid(path, value, f"{path} in body should be a multiple of {factor}")]

    return rule


_SIMPLE: dict[str, Callable[[Any, Schema], Rule]] = {
    "enum": _enum,
    "maximum": _maximum,
    "minimum": _minimum,
    "multipleOf": _multiple_of,
    "maxLength": _sized(str, _more, lambda path, value, limit: too_long(path, limit)),
    "minLength": _sized(str, _fewer, _too_short),
    "pattern": _pattern,
    "format": _format,
    "maxItems": _sized(list, _more, lambda path, value, limit: too_many(path, len(value), limit)),
    "minItems": _sized(list, _fewer, _too_few_items),
    "maxProperties": _sized(dict, _more, lambda path, value, limit: too_many(path, len(value), limit)),
    "minProperties": _sized(dict, _fewer, _too_few_properties),
}
_COMBINED: dict[str, Callable[[Any, Compile], Rule]] = {
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
}
