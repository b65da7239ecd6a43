"""Common Expression Language: the one place that knows which library evaluates it, and whether it is installed.

Pure. In: an expression and the names it may use. Out: a `Program` to evaluate with values; `BadExpression` when it does
not compile, `NotServed` when it uses what only Kubernetes' own library has, `Failed` when evaluation ends in an error.
Without the extra `cel` nothing compiles: callers ask `available()` first and say what they therefore do not check.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from graylane.model import re2

_LIBRARY = "cel_expr_python"
_EXTENSIONS = {"strings": "ExtStrings", "math": "ExtMath", "optional": "ExtOptional", "bindings": "ExtBindings"}
EXTRA = "install graylane[cel] to have them evaluated"
_UNDECLARED = re.compile(r"undeclared reference to '([\w.]+)'")
_MISSING_KEY = re.compile(r'Key not found in map : "(.*)"', re.DOTALL)
# Functions and values with types of Kubernetes' own, which the library cannot be given.
_FOREIGN = frozenset(("authorizer", "cidr", "format", "ip", "quantity", "semver", "url"))


class BadExpression(Exception):
    """It does not compile; the message is the compiler's."""


class NotServed(Exception):
    """It compiles on kube-apiserver, but uses `name`, which Graylane does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not available")
        self.name = name


class Failed(Exception):
    """The evaluation ended in an error, e.g. `no such key: x`."""


@cache
def available() -> bool:
    return find_spec(_LIBRARY) is not None


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """One compiled expression; equal ones are compiled once."""

    env: Any
    compiled: Any

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value as JSON would have it. Raises `Failed`."""
        found = self.compiled.eval(activation=self.env.Activation(data=values))
        if found.type().name() == "ERROR":
            raise Failed(_told(str(found.value())))
        return found.plain_value()


@lru_cache(maxsize=2048)
def program(expression: str, names: tuple[str, ...]) -> Program:
    env = _environment(names)
    try:
        return Program(env, env.compile(expression))
    except RuntimeError as error:
        text = str(error)
        foreign = [name for name in _undeclared(text) if name in _FOREIGN]
        if foreign:
            raise NotServed(foreign[0]) from None
        raise BadExpression(text.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")) from None


def uses(expression: str, name: str, others: tuple[str, ...]) -> bool:
    """Whether an expression that compiles with `name` does not without it."""
    try:
        program(expression, others)
    except BadExpression as error:
        return name in _undeclared(str(error))
    return False


def _undeclared(text: str) -> list[str]:
    """The names a compiler's message does not know; it says `oldSelf.size` for `oldSelf`."""
    return [found.partition(".")[0] for found in _UNDECLARED.findall(text)]


def moment(time: datetime) -> Any:
    """A timestamp among the values of an evaluation."""
    message = import_module("google.protobuf.timestamp_pb2").Timestamp()
    message.FromDatetime(time)
    return message


def span(length: timedelta) -> Any:
    """A duration among the values of an evaluation."""
    message = import_module("google.protobuf.duration_pb2").Duration()
    message.FromTimedelta(length)
    return message


def _told(error: str) -> str:
    """As kube-apiserver's library words the commonest mistake; others without the code in front."""
    missing = _MISSING_KEY.search(error)
    return f"no such key: {missing[1]}" if missing else error.partition(": ")[2] or error


@cache
def _environment(names: tuple[str, ...]) -> Any:
    """Everything is dynamic: values were checked against their schema before any rule sees them."""
    library = import_module(f"{_LIBRARY}.cel")  # 14 MB that a server without rules never loads
    extensions = [getattr(import_module(f"{_LIBRARY}.ext.ext_{name}"), kind)() for name, kind in _EXTENSIONS.items()]
    variables = dict.fromkeys(names, library.Type.DYN)
    return library.NewEnv(variables=variables, extensions=extensions, functions=_functions(library))


def _functions(cel: Any) -> list[Any]:
    """Kubernetes' additions, as far as they need no types of their own."""
    text, number, truth, anything = cel.Type.STRING, cel.Type.INT, cel.Type.BOOL, cel.Type.DYN
    items = cel.Type.List(anything)

    def member(name: str, answer: Any, call: Callable[..., Any], *parameters: Any) -> tuple[str, Any]:
        identity = "_".join((name, *(parameter.name().split("<")[0].lower() for parameter in parameters)))
        overload = cel.Overload(identity, return_type=answer, parameters=list(parameters), is_member=True, impl=call)
        return name, overload

    def plain(name: str, call: Callable[[str], bool]) -> tuple[str, Any]:
        return name, cel.Overload(f"{name}_string", return_type=truth, parameters=[text], impl=call)

    found = (
        member("isSorted", truth, _is_sorted, items),
        member("sum", anything, sum, items),
        member("min", anything, min, items),
        member("max", anything, max, items),
        member("find", text, _find, text, text),
        member("findAll", cel.Type.List(text), _find_all, text, text),
        member(
            "findAll", cel.Type.List(text), lambda s, p, n: _find_all(s, p)[: n if n >= 0 else None], text, text, number
        ),
        plain("isURL", _is_url),
        plain("isIP", _is(ipaddress.ip_address)),
        plain("isCIDR", _is(ipaddress.ip_network)),
    )
    names = dict.fromkeys(name for name, _ in found)
    return [cel.FunctionDecl(name, [overload for of, overload in found if of == name]) for name in names]


def _is_sorted(values: Sequence[Any]) -> bool:
    return all(a <= b for a, b in itertools.pairwise(values))


def _find(text: str, pattern: str) -> str:
    found = re2.compile_pattern(pattern).search(text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str) -> list[str]:
    return [found[0] for found in re2.compile_pattern(pattern).finditer(text)]


def _is_url(text: str) -> bool:
    """Absolute, as Go's `url.ParseRequestURI` understands it."""
    try:
        return text.startswith("/") or bool(urlsplit(text).scheme)
    except ValueError:
        return False


def _is(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check
