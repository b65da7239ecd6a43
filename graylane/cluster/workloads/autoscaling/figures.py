"""What each pod uses of a resource, and what it has asked for: the numbers that autoscaling is decided from.

Pure. In: PodMetrics and pods as objects. Out: integers in thousandths (of a core, of a byte), as Kubernetes counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from graylane.model import durations
from graylane.model.meta import Obj, dig, name_of, parse_time
from graylane.model.quantity import amount

CPU, MEMORY = "cpu", "memory"
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi")


class Unknown(Exception):
    """There is no number to decide from; its text is what users are told."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The mean over `window`, which ended `at`."""

    milli: int
    at: datetime
    window: timedelta


def figures(readings: Iterable[Obj], resource: str, container: str = "") -> dict[str, Figure]:
    """By pod: of one container, or of all; a pod without a complete answer is left out."""
    found = {}
    for reading in readings:
        containers = [each for each in reading.get("containers") or [] if container in ("", each["name"])]
        used = [dig(each, "usage", resource) for each in containers]
        if used and None not in used:
            window = timedelta(seconds=durations.seconds(reading["window"]) or 0.0)
            found[name_of(reading)] = Figure(sum(map(milli, used)), parse_time(reading["timestamp"]), window)
    return found


def milli(quantity: str) -> int:
    """Thousandths, rounded up as Kubernetes does."""
    return math.ceil(amount(quantity) * 1000)


def requests(pods: Iterable[Obj], resource: str, container: str = "") -> dict[str, int]:
    """By pod. Raises `Unknown` where a container asks for nothing: there is no percentage of that."""
    return {name_of(pod): _request(pod, resource, container) for pod in pods}


def _request(pod: Obj, resource: str, container: str) -> int:
    whole: Mapping[str, str] = dig(pod, "spec", "resources", "requests", default={})
    if whole and not container:
        if resource not in whole:
            raise Unknown(f"missing pod-level request for {resource} in Pod {name_of(pod)}")
        return milli(whole[resource])
    total = 0
    for each in _long_running(pod):
        if container in ("", each["name"]):
            asked = dig(each, "resources", "requests", resource)
            if asked is None:
                raise Unknown(f"missing request for {resource} in container {each['name']} of Pod {name_of(pod)}")
            total += milli(asked)
    return total


def _long_running(pod: Obj) -> list[Obj]:
    sidecars = (
        each for each in dig(pod, "spec", "initContainers", default=[]) if each.get("restartPolicy") == "Always"
    )
    return [*dig(pod, "spec", "containers", default=[]), *sidecars]


def quantity(resource: str, thousandths: int) -> str:
    """As a quantity in its shortest form: `250m`, `2`, `19Mi`."""
    whole, rest = divmod(thousandths, 1000)
    if rest or resource != MEMORY:
        return f"{thousandths}m" if rest else str(whole)
    unit = 0
    while whole and whole % 1024 == 0 and unit < len(_BINARY) - 1:
        whole, unit = whole // 1024, unit + 1
    return f"{whole}{_BINARY[unit]}"
