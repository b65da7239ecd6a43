"""What the write pipeline asks of admission.

Pure. In: nothing. Out: `Admitted`, the change under review, and the `Admission` protocol that webhooks implement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from graylane.model.meta import Obj


class Operation(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


@dataclass(frozen=True, slots=True)
class Admitted:
    """`obj` is None for DELETE, `old` is None for CREATE."""

    operation: Operation
    obj: Obj | None
    old: Obj | None


class Admission(Protocol):
    """`call` is the pipeline's `Call`; it is opaque here so that admission and verbs need not know each other."""

    async def mutate(self, call: Any, admitted: Admitted) -> Obj:
        """The object to go on with; the same one when nobody changed it. Raises to refuse."""
        ...

    async def validate(self, call: Any, admitted: Admitted) -> None:
        """Raises to refuse."""
        ...


@dataclass(frozen=True, slots=True)
class Steps:
    """Several admissions as one: each sees what the one before made of the object."""

    steps: tuple[Admission, ...]

    async def mutate(self, call: Any, admitted: Admitted) -> Obj:
        for step in self.steps:
            changed = await step.mutate(call, admitted)
            if admitted.obj is not None and changed is not admitted.obj:
                admitted = replace(admitted, obj=changed)
        return admitted.obj if admitted.obj is not None else admitted.old or {}

    async def validate(self, call: Any, admitted: Admitted) -> None:
        for step in self.steps:
            await step.validate(call, admitted)
