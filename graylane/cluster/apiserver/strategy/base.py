"""The shape of a kind's peculiarities; most kinds have none.

Pure. In: objects. Out: `Strategy`, a set of functions that the write pipeline calls at fixed points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network
from typing import Protocol

from graylane.cluster.apiserver.schema.fielderror import FieldError
from graylane.model.meta import Obj


class Versions(Protocol):
    """One stored object, as far as a ledger needs to see it."""

    @property
    def obj(self) -> Obj: ...


class Heads(Protocol):
    """The newest state of everything, including writes still on their way to disk."""

    def heads(self, resource: str) -> Iterable[Versions]: ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a kind may look at, in the very instant of its write, to hand out values nobody else has."""

    now: datetime
    heads: Heads
    service_cidr: IPv4Network
    node_ports: range


def _create(obj: Obj, now: datetime) -> Obj:
    return obj


def _update(new: Obj, old: Obj) -> Obj:
    return new


def _allocate(new: Obj, old: Obj | None, ledger: Ledger) -> Obj:
    return new


def _check(new: Obj, old: Obj | None) -> list[FieldError]:
    return []


def _warnings(obj: Obj) -> list[str]:
    return []


def _grace(obj: Obj, asked: int | None) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Strategy:
    """Defaults suit ConfigMap: nothing is derived, nothing is immutable, deletion is at once.

    create:   a new object, before admission: initial status, labels, derived fields
    update:   (new, old): what an update may not touch is put back
    check:    (new, old or None): rules beyond the schema
    allocate: (new, old or None, ledger): values that must be unique in the cluster, in the instant of the write
    grace:    (object, what the client asked): seconds between the mark and the end of a deletion
    warnings: what of a valid object Graylane does not do, said to whoever writes it

    `create_on_update`: PUT of an absent object creates it. `keeps_first_status`: create may bring a status along.
    `answers_deleted`: DELETE answers with the object rather than with a Status.
    `graceful`: an object that ends at once is marked as ending, too.
    `status_fixes`: metadata that a write of the status leaves alone; None for all of it.
    `wishes`: metadata whose change is a new generation.
    `propagation`: what becomes of its dependents when the client does not say.
    """

    create: Callable[[Obj, datetime], Obj] = _create
    update: Callable[[Obj, Obj], Obj] = _update
    check: Callable[[Obj, Obj | None], list[FieldError]] = _check
    allocate: Callable[[Obj, Obj | None, Ledger], Obj] = _allocate
    grace: Callable[[Obj, int | None], int] = _grace
    warnings: Callable[[Obj], list[str]] = _warnings
    create_on_update: bool = False
    keeps_first_status: bool = False
    answers_deleted: bool = False
    graceful: bool = False
    status_fixes: tuple[str, ...] | None = ()
    wishes: tuple[str, ...] = ()
    propagation: str = ""
