"""Rules in CEL: judged on new and changed values, worded as kube-apiserver words them."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.cluster.apiserver import cel
from graylane.cluster.apiserver.admission import conditions
from graylane.cluster.apiserver.schema import celrules
from graylane.cluster.apiserver.schema.node import ABSENT
from graylane.model.meta import Obj

pytestmark = pytest.mark.skipif(not cel.available(), reason="the extra cel is not installed")

SIZE = {"type": "integer"}


def spec(*rules: Obj, **properties: Any) -> Obj:
    inner = {"type": "object", "properties": {"size": SIZE, **properties}, "x-kubernetes-validations": list(rules)}
    return {"type": "object", "properties": {"spec": inner}}


def errors(schema: Obj, new: Any, old: Any = ABSENT) -> list[str]:
    spot = celrules.compile_schema(schema)
    assert spot is not None
    wrapped = ABSENT if old is ABSENT else {"spec": old}
    return [str(error) for error in celrules.check(spot, {"spec": new}, wrapped)]


def test_a_broken_rule_is_an_error_at_its_place() -> None:
    schema = spec({"rule": "self.size < 10"})
    assert errors(schema, {"size": 9}) == []
    assert errors(schema, {"size": 10}) == ['spec: Invalid value: "object": failed rule: self.size < 10']


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"message": "too big"}, 'spec: Invalid value: "object": too big'),
        ({"messageExpression": "'not ' + string(self.size)"}, 'spec: Invalid value: "object": not 10'),
        ({"messageExpression": "'a\\nb'", "message": "m"}, 'spec: Invalid value: "object": m'),
        ({"messageExpression": "string(self.none)", "message": "m"}, 'spec: Invalid value: "object": m'),
        ({"message": "no", "reason": "FieldValueForbidden"}, "spec: Forbidden: no"),
        ({"message": "no", "reason": "FieldValueRequired"}, "spec: Required value: no"),
        ({"reason": "FieldValueDuplicate"}, 'spec: Duplicate value: "object"'),
        ({"message": "m", "fieldPath": ".size"}, 'spec.size: Invalid value: "object": m'),
        ({"message": "m", "fieldPath": ".by['a/b']"}, 'spec.by[a/b]: Invalid value: "object": m'),
    ],
)
def test_what_is_said_about_a_broken_rule(rule: Obj, said: str) -> None:
    assert errors(spec({"rule": "self.size < 10", **rule}), {"size": 10}) == [said]


def test_a_rule_that_cannot_be_evaluated_is_an_error_too() -> None:
    said = errors(spec({"rule": "self.other > 1", "message": "m"}), {"size": 1})
    assert said == ['spec: Invalid value: "object": no such key: other evaluating rule: m']


def test_a_rule_about_the_old_value_waits_for_one() -> None:
    schema = spec({"rule": "self.size >= oldSelf.size", "message": "must not shrink"})
    assert errors(schema, {"size": 1}) == []
    assert errors(schema, {"size": 2}, {"size": 1}) == []
    assert errors(schema, {"size": 1}, {"size": 2}) == ['spec: Invalid value: "object": must not shrink']


def test_an_optional_old_value_is_judged_on_new_objects_too() -> None:
    rule = {"rule": "oldSelf.hasValue() || self.size == 1", "optionalOldSelf": True, "message": "start with 1"}
    assert errors(spec(rule), {"size": 2}) == ['spec: Invalid value: "object": start with 1']
    assert errors(spec(rule), {"size": 1}) == []
    assert errors(spec(rule), {"size": 2}, {"size": 1}) == []


def test_a_value_that_did_not_change_is_not_blamed_for_a_newer_rule() -> None:
    schema = spec({"rule": "self.size < 10"})
    assert errors(schema, {"size": 10}, {"size": 10}) == []
    assert errors(schema, {"size": 11}, {"size": 10}) != []


def test_items_of_a_list_that_is_a_map_have_an_earlier_self() -> None:
    item = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "n": SIZE},
        "x-kubernetes-validations": [{"rule": "self.n == oldSelf.n", "message": "fixed"}],
    }
    parts = {
        "type": "array",
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    old = {"parts": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]}
    new = {"parts": [{"name": "b", "n": 2}, {"name": "a", "n": 5}, {"name": "c", "n": 9}]}
    assert errors(spec(parts=parts), new, old) == ['spec.parts[1]: Invalid value: "object": fixed']


def test_values_of_a_map_are_judged_one_by_one() -> None:
    values = {"type": "object", "additionalProperties": {**SIZE, "x-kubernetes-validations": [{"rule": "self > 0"}]}}
    assert errors(spec(by=values), {"by": {"a": 1, "b": 0}}) == [
        'spec.by[b]: Invalid value: "integer": failed rule: self > 0'
    ]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("self.a__dash__b == 'x'", {"a-b": "x"}),
        ("self.__namespace__ == 'x'", {"namespace": "x"}),
        ("self.at > timestamp('2020-01-01T00:00:00Z')", {"at": "2021-01-01T00:00:00Z"}),
        ("self.wait == duration('90s')", {"wait": "1m30s"}),
        ("self.raw == b'hi'", {"raw": "aGk="}),
        ("self.part == 1.0", {"part": 1}),
        ("self.?none.orValue(3) == 3", {}),
        ("self.names.isSorted() && self.names.all(n, n.matches('^[a-z]$'))", {"names": ["a", "b"]}),
        ("self.names.map(n, size(n)).sum() == 2", {"names": ["a", "b"]}),
        ("'abc123'.find('[0-9]+') == '123'", {}),
        ("isIP('10.0.0.1') && isCIDR('10.0.0.0/8') && isURL('https://a/b')", {}),
        ("self.names.join(',') == 'a,b'", {"names": ["a", "b"]}),
        ("self.small < 1.5", {"small": 1}),
    ],
)
def test_values_are_what_a_rule_expects(rule: str, value: Obj) -> None:
    properties = {
        "a-b": {"type": "string"},
        "namespace": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "wait": {"type": "string", "format": "duration"},
        "raw": {"type": "string", "format": "byte"},
        "part": {"type": "number"},
        "small": {"type": "number"},
        "names": {"type": "array", "items": {"type": "string"}},
    }
    assert errors(spec({"rule": rule}, **properties), value) == []


def test_wrong_rules_and_rules_beyond_us_are_told_apart() -> None:
    schema = spec({"rule": "self.size <"}, {"rule": "quantity(self.q).isLessThan(quantity('1'))"}, {"rule": "true"})
    wrong, beyond = celrules.problems(schema, "root")
    assert (wrong.path, wrong.served) == ("root.properties[spec].x-kubernetes-validations[0].rule", True)
    assert "Syntax error" in wrong.why
    assert (beyond.served, beyond.why) == (False, "quantity is not available")
    assert errors(schema, {"size": 1}) == [], "neither is evaluated"


def test_the_root_may_ask_for_the_name() -> None:
    schema = {"type": "object", "properties": {}, "x-kubernetes-validations": [{"rule": "self.metadata.name == 'a'"}]}
    spot = celrules.compile_schema(schema)
    assert spot is not None
    assert list(celrules.check(spot, {"metadata": {"name": "a"}}, ABSENT)) == []
    (error,) = celrules.check(spot, {"metadata": {"name": "b"}}, ABSENT)
    assert str(error) == "<nil>: Invalid value: \"object\": failed rule: self.metadata.name == 'a'"


REQUEST = {"object": {"metadata": {"name": "a"}}, "oldObject": None, "userInfo": {"username": "jane"}}


def webhook(*expressions: str) -> Obj:
    named = [{"name": f"c{index}", "expression": text} for index, text in enumerate(expressions)]
    return {"name": "w", "matchConditions": named}


@pytest.mark.parametrize(
    ("expressions", "asked"),
    [
        ((), True),
        (("object.metadata.name == 'a'", "oldObject == null"), True),
        (("request.userInfo.username != 'jane'",), False),
        (("object.none == 1", "false"), False),
    ],
)
def test_a_webhook_is_asked_when_all_conditions_hold(expressions: tuple[str, ...], asked: bool) -> None:
    assert conditions.hold(webhook(*expressions), REQUEST) is asked


def test_a_condition_that_fails_leaves_it_to_the_failure_policy() -> None:
    with pytest.raises(conditions.Undecided, match="c0: no such key: none"):
        conditions.hold(webhook("object.none == 1", "true"), REQUEST)


def test_conditions_that_do_not_compile_are_refused_and_those_beyond_us_named() -> None:
    configuration = {"webhooks": [webhook("object.", "authorizer.path('/x').check('get').allowed()")]}
    (error,) = conditions.check(configuration, None)
    assert error.path == "webhooks[0].matchConditions[0].expression"
    assert conditions.warnings(configuration) == [
        "Graylane does not evaluate webhooks[0].matchConditions[1].expression: authorizer is not available"
    ]
