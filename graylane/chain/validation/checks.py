"""Checks that several kinds share: names, hosts, ports, durations, percentages, header edits.

Pure. In: values as written, of any type. Out: complaints in a `Report`, each with its field path. Absent fields and the
zero value of their type mean the same, as in Istio's own objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from graylane.chain.match import regex_fault
from graylane.model.durations import seconds

Block = Mapping[str, Any]
_LABEL = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_HEADER = re.compile(r"[-_A-Za-z0-9.!#$&'*+^`|~]+")
_LABEL_KEY = re.compile(r"([-.a-z0-9]+/)?[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?")
_FORMAT = re.compile(r"%%|%[^%(]*(?:\((?:\\.|[^)\\])+\) *)?%")  # of which only Envoy knows what it means
_REGEX_LENGTH = 1024


@dataclass(slots=True)
class Report:
    """`errors` refuse an object, `warnings` are told to whoever writes it."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def error(self, path: str, text: str) -> None:
        self.errors.append(f"{path}: {text}")

    def warn(self, path: str, text: str) -> None:
        self.warnings.append(f"{path}: {text}")


def block(value: Any) -> Block:
    return value if isinstance(value, Mapping) else {}


def entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def blocks(value: Any, path: str) -> Iterator[tuple[str, Block]]:
    """The maps of a list, each with its path."""
    for number, each in enumerate(entries(value)):
        yield f"{path}[{number}]", block(each)


def is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_label(text: str) -> bool:
    """As Istio has it, in which capitals may stand."""
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def is_domain(host: str, *, wildcard: bool = True) -> bool:
    """Letters, digits and dashes between dots; the first label may be, or begin with, a star, the last is no number."""
    first, *rest = host.removesuffix(".").split(".")
    top = rest[-1] if rest else "" if wildcard else first
    if top.isdigit():
        return False
    if wildcard and first.startswith("*"):
        first = first[1:].removeprefix("-") or "x"
    return len(host) <= 255 and all(len(each) <= 63 and _LABEL.fullmatch(each) for each in (first, *rest))


def host(report: Report, path: str, text: Any, *, address: bool = False) -> None:
    """`address`: an IP address will do as well."""
    if not isinstance(text, str) or not ((address and is_ip(text)) or is_domain(text)):
        report.error(path, f"domain name {text!r} invalid: not a domain name{' nor an IP address' if address else ''}")


def port(report: Report, path: str, number: Any) -> None:
    if not isinstance(number, int) or not 1 <= number <= 65535:
        report.error(path, f"port number {number} must be in the range 1..65535")


def labels(report: Report, path: str, found: Any) -> None:
    for name, value in block(found).items():
        if not _LABEL_KEY.fullmatch(str(name)):
            report.error(path, f"invalid tag key: {name!r}")
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            report.error(path, f"invalid tag value: {value!r}")


def selector(report: Report, path: str, found: Any) -> None:
    for name, value in block(found).items():
        if not name or "*" in f"{name}{value}":
            report.error(path, f"wildcards and empty keys are not supported in a selector: {name}={value}")


def subset_name(report: Report, path: str, name: Any) -> None:
    if not is_label(str(name)):
        report.error(path, f"subset name is invalid: {name!r}")


def duration(report: Report, path: str, text: Any, *, least: float = 0.001, whole: float = 0.001) -> None:
    """`whole` is the unit of which it has to be a multiple."""
    found = seconds(str(text))
    if found is None:
        report.error(path, f"invalid duration {text!r}; write e.g. 500ms or 5s")
    elif found < least:
        report.error(path, f"duration must be greater than {_told(least)}")
    elif abs(found / whole - round(found / whole)) > 1e-6:
        report.error(path, f"only durations to {_told(whole)} precision are supported")


def _told(value: float) -> str:
    return "1ms" if value == 0.001 else f"{value:g}s"


def percent(report: Report, path: str, value: Any, *, least: float = 0.0) -> None:
    """0 is none; what is above must be at least `least`."""
    number = value if isinstance(value, int | float) else -1.0
    if not 0 <= number <= 100 or 0 < number < least:
        report.error(path, f"percentage {value} is not in range 0.0 to 100.0")


def regex(report: Report, path: str, pattern: Any) -> None:
    text = str(pattern)
    if not text:
        report.error(path, "regex string match should not be empty")
    elif len(text) > _REGEX_LENGTH:
        report.error(path, f"regex is too long: {len(text)} characters, at most {_REGEX_LENGTH}")
    elif fault := regex_fault(text):
        report.error(path, fault)


def string_match(report: Report, path: str, value: Any, *, empty_prefix: bool = False) -> None:
    """Istio's StringMatch; an empty one asks for presence."""
    written = [name for name in ("exact", "prefix", "regex") if name in block(value)]
    if len(written) > 1:
        report.error(path, f"only one of exact, prefix and regex is allowed, not {' and '.join(written)}")
    if "regex" in written:
        regex(report, f"{path}.regex", value["regex"])
    if "prefix" in written and not value["prefix"] and not empty_prefix:
        report.error(f"{path}.prefix", "prefix string match should not be empty")


def port_name(report: Report, path: str, name: str) -> None:
    if not is_label(name):
        report.error(path, f"invalid port name: {name!r}")


def header_name(report: Report, path: str, name: str) -> None:
    if not _HEADER.fullmatch(name):
        report.error(path, f"header name {name!r} is not a valid header name")


def header_value(report: Report, path: str, value: Any) -> None:
    text = str(value)
    if any((ord(letter) < 32 and letter != "\t") or ord(letter) == 127 for letter in text):
        report.error(path, "header value has control characters")
    if "%" in _FORMAT.sub("", text):
        report.error(path, f"header value {text!r} has an unbalanced %; a literal one is written %%")


def gateway_names(report: Report, path: str, names: Any) -> None:
    """`mesh`, `name`, `namespace/name`; the old dotted form works and is warned of.

    `./name` works, but istiod refuses it, unless it looks at none behind the first that has no namespace.
    """
    for number, name in enumerate(map(str, entries(names))):
        where = f"{path}[{number}]"
        space, slash, short = name.partition("/")
        if not slash:
            if "." in name:
                report.warn(where, f"using legacy gatewayName format {name!r}; prefer the <namespace>/<name> format")
            if not is_domain(name, wildcard=False):
                report.error(where, f"invalid gateway name {name!r}")
            return
        if not is_label(space) or not is_label(short):
            report.error(where, f"invalid gateway name {name!r}: must be <namespace>/<name>")


def export_to(report: Report, path: str, scopes: Any, *, nobody: bool = False) -> None:
    """`nobody`: whether `~` may be said, which hides a service but would take all effect from a rule."""
    found = [str(scope) for scope in entries(scopes)]
    for scope in found:
        if scope == "~" and not nobody:
            report.error(path, "exportTo ~ (none) is not allowed for Istio configuration objects")
        elif scope not in (".", "*", "~") and not is_label(scope):
            report.error(path, f"invalid namespace {scope!r} in exportTo")
    if len(set(found)) != len(found):
        report.error(path, f"duplicate entries in exportTo: {', '.join(found)}")
    if len(found) > 1 and set(found) & {"*", "~"}:
        report.error(path, "exportTo must have only one of * and ~, and then nothing else")


def subnets(report: Report, path: str, found: Any) -> None:
    for number, text in enumerate(map(str, entries(found))):
        try:
            ip_network(text, strict=False)
        except ValueError:
            report.error(f"{path}[{number}]", f"{text!r} is not a valid IP address or CIDR")


def each_once(found: Iterable[str]) -> Iterator[str]:
    """Whatever occurs again."""
    seen: set[str] = set()
    for name in found:
        if name in seen:
            yield name
        seen.add(name)
