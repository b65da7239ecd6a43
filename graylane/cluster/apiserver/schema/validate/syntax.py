"""What a name, a label, a port or a key may look like, and Kubernetes' sentence for each that is not.

Pure. In: a value. Out: sentences, none when it is fine. The sentences are kube-apiserver's, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from ipaddress import ip_address
from typing import Any

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_PERCENT = "[0-9]+%"


def _explained(text: str, pattern: str, *examples: str) -> str:
    """Kubernetes' way to explain a pattern."""
    shown = ",  or ".join(f"'{example}'" for example in examples)
    return f"{text} (e.g. {shown}, regex used for validation is '{pattern}')"


_LABEL_SENTENCE = _explained(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_SENTENCE = _explained(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_NAME_PART_SENTENCE = "name part " + _explained(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    _QUALIFIED,
    "MyName",
    "my.name",
    "123-abc",
)
_LABEL_VALUE_SENTENCE = _explained(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character",
    _LABEL_VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_CONFIG_KEY_SENTENCE = _explained(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
_PERCENT_SENTENCE = _explained(
    "a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%"
)
PORT_RANGE = "must be between 1 and 65535, inclusive"
NOT_NEGATIVE = "must be greater than or equal to 0"


def _remembered(check: Callable[[Any], Iterator[str]]) -> Callable[[Any], tuple[str, ...]]:
    """The same few names come again and again, in every object and with every write of it."""

    @lru_cache(maxsize=4096, typed=True)
    @wraps(check)
    def problems(value: Any) -> tuple[str, ...]:
        return tuple(check(value))

    return problems


@_remembered
def label(value: str) -> Iterator[str]:
    """DNS-1123 label: container names, port names of Services."""
    if len(value) > 63:
        yield "must be no more than 63 characters"
    if not re.fullmatch(_LABEL, value):
        yield _LABEL_SENTENCE


@_remembered
def subdomain(value: str) -> Iterator[str]:
    if len(value) > 253:
        yield "must be no more than 253 characters"
    if not re.fullmatch(_SUBDOMAIN, value):
        yield _SUBDOMAIN_SENTENCE


@_remembered
def label_key(value: str) -> Iterator[str]:
    """A qualified name: `app`, `example.com/app`."""
    prefix, slash, name = value.rpartition("/")
    if slash:
        yield from (f"prefix part {problem}" for problem in (subdomain(prefix) if prefix else ("must be non-empty",)))
    if not name:
        yield "name part must be non-empty"
    elif len(name) > 63:
        yield "name part must be no more than 63 characters"
    if not re.fullmatch(_QUALIFIED, name):
        yield _NAME_PART_SENTENCE


@_remembered
def label_value(value: str) -> Iterator[str]:
    if len(value) > 63:
        yield "must be no more than 63 characters"
    if not re.fullmatch(_LABEL_VALUE, value):
        yield _LABEL_VALUE_SENTENCE


@_remembered
def config_key(value: str) -> Iterator[str]:
    """A key of a ConfigMap or Secret."""
    if len(value) > 253:
        yield "must be no more than 253 characters"
    if not re.fullmatch(_CONFIG_KEY, value):
        yield _CONFIG_KEY_SENTENCE
    if value == ".":
        yield "must not be '.'"
    elif value.startswith(".."):
        yield "must not be '..'" if value == ".." else "must not start with '..'"


@_remembered
def port_name(value: str) -> Iterator[str]:
    """IANA service name: the name of a container's port."""
    if len(value) > 15:
        yield "must be no more than 15 characters"
    if not re.fullmatch("[-a-z0-9]+", value):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", value):
        yield "must contain at least one letter (a-z)"
    if "--" in value:
        yield "must not contain consecutive hyphens"
    if value.startswith("-") or value.endswith("-"):
        yield "must not begin or end with a hyphen"


@_remembered
def env_name(value: str) -> Iterator[str]:
    if not value or not all(" " <= char <= "~" and char != "=" for char in value):
        yield "a valid environment variable name must consist only of printable ASCII characters other than '='"


@_remembered
def port_number(value: Any) -> Iterator[str]:
    if not isinstance(value, int) or not 1 <= value <= 65535:
        yield PORT_RANGE


@_remembered
def port(value: int | str) -> Iterator[str]:
    """The number of a port or its name."""
    yield from port_name(value) if isinstance(value, str) else port_number(value)


@_remembered
def not_negative(value: Any) -> Iterator[str]:
    if isinstance(value, int | float) and value < 0:
        yield NOT_NEGATIVE


@_remembered
def int_or_percent(value: int | str) -> Iterator[str]:
    if isinstance(value, str) and not re.fullmatch(_PERCENT, value):
        yield _PERCENT_SENTENCE
    elif isinstance(value, int):
        yield from not_negative(value)


@_remembered
def ip(value: str) -> Iterator[str]:
    try:
        ip_address(value)
    except ValueError:
        yield "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
