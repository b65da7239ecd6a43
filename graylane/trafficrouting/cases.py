"""A case of a Lua script: an object and a strategy, and the object or the error that must result.

Pure. In: a case as its file has it, and what the script made of it. Out: `Case`, and the lines that say how the two
differ, none when they agree. The cases beside the scripts we ship are its examples.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from graylane.errors import UserError
from graylane.model.meta import Obj
from graylane.trafficrouting.lua.script import LuaError
from graylane.trafficrouting.providers import ingress
from graylane.trafficrouting.providers.custom import Contribution, script_input

_FIELDS = frozenset({"service", "canaryService", "namespace", "strategy", "object", "annotations", "expect", "error"})
_SERVICE, _NAMESPACE = "mocka", "default"  # of the scenario, so that most cases need not name one
_CONTEXT = 3

Outcome = dict[str, Any] | LuaError


@dataclass(frozen=True, slots=True)
class Case:
    """`obj`: the script's global. `wanted`: `{"expect": …}` or `{"error": message}`."""

    place: str
    obj: Obj
    wanted: dict[str, Any]


def read_case(text: str, place: str) -> Case:
    """Raises `UserError` that names the file and what is wrong with it."""
    document = _document(text, place)
    if unknown := sorted(document.keys() - _FIELDS):
        raise UserError(f"{place}: {unknown[0]} is not a field of a case; these are: {', '.join(sorted(_FIELDS))}")
    if isinstance(document.get("object"), dict) == isinstance(document.get("annotations"), dict):
        raise UserError(
            f"{place}: object is missing; give what the script sees of it: spec, labels, annotations "
            "(or, for an Ingress script, only annotations)"
        )
    wanted = {name: value for name, value in document.items() if name in ("expect", "error")}
    if len(wanted) != 1:
        raise UserError(f"{place}: say either what to expect or the error that must come")
    wish = _wish(document, place)
    if "annotations" in document:
        return Case(place, ingress.script_input(document["annotations"], wish), wanted)
    return Case(place, script_input(document["object"], wish), wanted)


def _document(text: str, place: str) -> dict[str, Any]:
    """As JSON would have it: what YAML takes for a date is no value of a Kubernetes object."""
    try:
        document = json.loads(json.dumps(yaml.safe_load(text)))
    except yaml.YAMLError as error:
        raise UserError(f"{place}: not YAML: {error}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: {error}; quote what is meant as text") from error
    if not isinstance(document, dict):
        raise UserError(f"{place}: a case is an object with the fields {', '.join(sorted(_FIELDS))}")
    return document


def _wish(document: Mapping[str, Any], place: str) -> Contribution:
    strategy = document.get("strategy") or {}
    if not isinstance(strategy, dict):
        raise UserError(f"{place}: strategy must be an object with weight, matches or requestHeaderModifier")
    return Contribution(
        service=str(document.get("service", _SERVICE)),
        namespace=str(document.get("namespace", _NAMESPACE)),
        strategy=strategy,
        canary_service=str(document.get("canaryService", "")),
    )


def differences(case: Case, outcome: Outcome) -> list[str]:
    """An error that was not expected is told as it is, with script and line; everything else as a unified diff."""
    if isinstance(outcome, LuaError) and "expect" in case.wanted:
        return [str(outcome)]
    given = {"error": outcome.message} if isinstance(outcome, LuaError) else {"expect": outcome}
    names = f"{case.place} expected", f"{case.place} given"
    return list(difflib.unified_diff(_lines(case.wanted), _lines(given), *names, lineterm="", n=_CONTEXT))


def _lines(value: dict[str, Any]) -> list[str]:
    """Text tells 1 from 1.0 and from true; Python's == does not."""
    return yaml.safe_dump(value, allow_unicode=True, width=1000).splitlines()
