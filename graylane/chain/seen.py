"""What proxies saw of real requests, as the mesh's ledger tells it over HTTP.

Pure. In: the ledger's nouns, or its JSON. Out: JSON, or the nouns. Both directions are here, so that the mesh which
writes it and the views which read it cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from graylane.chain.latency import Took

Headers = tuple[tuple[str, str], ...]
Json = Mapping[str, Any]
NO_LEDGER: Json = {"ledger": "off"}
"""What a mesh answers that was told to keep none."""


@dataclass(frozen=True, slots=True)
class SeenHop:
    """One request as one proxy saw it.

    `caller` is the gateway's or the calling pod's `namespace/name`, `pod` that of who answered, "" if no pod did.
    `headers` are those that the rules looked at or that mark a lane; `passed` is what `pod` got of them. `at` is when
    it began, in seconds since 1970, `seconds` how long it took.
    """

    number: int
    at: float
    seconds: float
    id: str
    client: str
    listener: str
    caller: str
    gateway: bool
    method: str
    authority: str
    path: str
    virtual_host: str
    rule: str
    route: str
    cluster: str
    upstream: str
    pod: str
    code: int
    flags: str
    details: str
    headers: Headers
    passed: Headers

    @property
    def ended(self) -> float:
        return self.at + self.seconds

    @property
    def failed(self) -> bool:
        """Whether the client got an error, or no answer at all."""
        return self.code == 0 or self.code >= 500


class By(StrEnum):
    """How it is known on whose behalf a pod sent a request."""

    ID = "id"
    TIME = "time"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Linked:
    """A hop and the hops on whose behalf it may have been sent: by `id` and with one parent it is certain."""

    hop: SeenHop
    parents: tuple[int, ...] = ()
    by: By = By.NOTHING


@dataclass(frozen=True, slots=True)
class Count:
    """How often the same happened at one hop, and how long it took. `headers` are those that mark a lane."""

    caller: str
    gateway: bool
    host: str
    port: int
    headers: Headers
    rule: str
    pod: str
    code: int
    flags: str
    count: int
    took: Took = field(default_factory=dict, hash=False)

    @property
    def failed(self) -> bool:
        return self.code == 0 or self.code >= 500


@dataclass(frozen=True, slots=True)
class Carried:
    """What pods that answer for `service` did with a header that they received, in their calls of `called`.

    Of requests that can be told, `kept` passed it on and `lost` did not; `example` is the id of one that did not.
    """

    service: str
    called: str
    header: str
    value: str
    kept: int
    lost: int
    example: str = ""

    def __str__(self) -> str:
        """The sentence that names the hop which loses the header."""
        return f"{short(self.service)} receives {self.header}, its call to {short(self.called)} lacks it"


@dataclass(frozen=True, slots=True)
class LedgerView:
    """`counts` are exact for the last `seconds`, as far as `uncounted` is 0; `carried` is about recent requests."""

    seconds: float
    requests: int
    uncounted: int
    counts: tuple[Count, ...]
    carried: tuple[Carried, ...]


def short(host: str) -> str:
    """`mocka.default.svc.cluster.local` → `mocka`."""
    return host.partition(".")[0]


def view_to_json(view: LedgerView) -> dict[str, Any]:
    return {
        "seconds": view.seconds,
        "requests": view.requests,
        "uncounted": view.uncounted,
        "hops": [_with_took(_with_headers(_fields(each))) for each in view.counts],
        "headers": [_fields(each) for each in view.carried],
    }


def view_from_json(data: Json) -> LedgerView:
    return LedgerView(
        float(data["seconds"]),
        int(data["requests"]),
        int(data["uncounted"]),
        tuple(Count(**_from_took(_from_headers(each))) for each in data["hops"]),
        tuple(Carried(**each) for each in data["headers"]),
    )


def linked_to_json(found: Iterable[Linked]) -> list[dict[str, Any]]:
    return [
        {**_with_headers(_fields(each.hop)), "parents": list(each.parents), "linkedBy": each.by.value} for each in found
    ]


def linked_from_json(data: Iterable[Json]) -> list[Linked]:
    return [_linked(dict(each)) for each in data]


def _linked(data: dict[str, Any]) -> Linked:
    parents, by = tuple(data.pop("parents")), By(data.pop("linkedBy"))
    return Linked(SeenHop(**_from_headers(data)), parents, by)


def _fields(noun: Any) -> dict[str, Any]:
    return {name: getattr(noun, name) for name in noun.__slots__}


_HEADERS = ("headers", "passed")


def _with_headers(data: dict[str, Any]) -> dict[str, Any]:
    for key in _HEADERS:
        if key in data:
            data[key] = [{"name": name, "value": value} for name, value in data[key]]
    return data


def _from_headers(data: Json) -> dict[str, Any]:
    found = dict(data)
    for key in _HEADERS:
        if key in found:
            found[key] = tuple((each["name"], each["value"]) for each in found[key])
    return found


def _with_took(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"took": sorted(data["took"].items())}


def _from_took(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"took": dict(data["took"])}
