"""The string formats a custom kind's schema may ask for, as kube-apiserver checks them.

Pure. In: a string. Out: whether it has the format. Formats not listed are ignored, as Kubernetes ignores them.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlsplit

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
_MAC = re.compile(r"([0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5,7})|([0-9A-Fa-f]{4}(\.[0-9A-Fa-f]{4}){2,3})")
_DURATION = re.compile(
    r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))+)|(\d+ *(ns|us|ms|s|min|hour|day|week)s?)"
)
_UUID = r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?%s-?%s-?[0-9A-Fa-f]{12}"
_ANY = "[0-9A-Fa-f]{4}"


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _date_time(text: str) -> bool:
    if not _DATE_TIME.fullmatch(text):
        return False
    return _parses(datetime.fromisoformat)(re.sub(r"\.\d+", "", text).upper().replace("Z", "+00:00"))


def _hostname(text: str) -> bool:
    labels = text.rstrip(".").split(".")
    return len(text) <= 255 and all(_HOST_LABEL.fullmatch(label) for label in labels)


def _byte(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def _cidr(text: str) -> bool:
    return "/" in text and _parses(lambda value: ipaddress.ip_network(value, strict=False))(text)


CHECKS: dict[str, Callable[[str], bool]] = {
    "date": _parses(date.fromisoformat),
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
    "byte": _byte,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "hostname": _hostname,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _cidr,
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "uri": _uri,
    "uuid": _matches(_UUID % (_ANY, _ANY)),
    "uuid3": _matches(_UUID % ("3[0-9A-Fa-f]{3}", _ANY)),
    "uuid4": _matches(_UUID % ("4[0-9A-Fa-f]{3}", "[89ABab][0-9A-Fa-f]{3}")),
    "uuid5": _matches(_UUID % ("5[0-9A-Fa-f]{3}", "[89ABab][0-9A-Fa-f]{3}")),
    "hexcolor": _matches("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "bsonobjectid": _matches("[0-9a-fA-F]{24}"),
    "isbn10": _matches("(?:[0-9]{9}X|[0-9]{10})"),
    "isbn13": _matches("(?:[0-9]{13})"),
}
