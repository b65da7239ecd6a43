"""A kind's schema as the API server uses it: check, find unknown fields, prune, default.

Pure. In: an object as decoded from JSON. Out: errors in Kubernetes' words, or a new object. Built-in kinds answer as
Go's decoder does (400, the first mistake); custom kinds as the structural-schema validator does (422, every mistake).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graylane.cluster.apiserver import cel
from graylane.cluster.apiserver.schema import celrules, check, crd, gojson, shape, zeros
from graylane.cluster.apiserver.schema.fielderror import FieldError, decode
from graylane.cluster.apiserver.schema.fits import Fits, fits
from graylane.cluster.apiserver.schema.node import Node
from graylane.model.meta import Obj


@dataclass(frozen=True, slots=True, eq=False)
class Structural:
    """One version of one kind."""

    root: Node
    decoded: Node  # the part that kube-apiserver decodes into Go structs: all of a built-in, only the head of a custom
    custom: bool
    rules: celrules.Spot | None = None  # what is demanded in CEL, where that can be evaluated
    unenforced: tuple[str, ...] = ()  # paths with CEL rules that are stored but not evaluated
    fits: Fits = field(init=False)  # a quick yes to all that `check`, `unknown` and `prune` ask
    zeros: zeros.Fill | None = field(init=False)  # what Go writes of a built-in kind, said or not

    def __post_init__(self) -> None:
        object.__setattr__(self, "zeros", None if self.custom else zeros.filler(self.root))
        object.__setattr__(self, "fits", fits(self.root))

    @staticmethod
    def from_crd(schema: Mapping[str, Any] | None) -> Structural:
        """From `spec.versions[].schema.openAPIV3Schema`; None (no schema) keeps every field unchecked."""
        schema = schema or {}
        unenforced = () if cel.available() else tuple(crd.cel_paths(schema))
        rules = celrules.compile_schema(schema)
        return Structural(crd.root(schema or None), crd.head(), custom=True, rules=rules, unenforced=unenforced)

    def mistake(self, obj: Obj) -> str:
        """Why `obj` does not decode at all, "" when it does; outweighs whatever else is wrong with it."""
        return gojson.first_mistake(self.decoded, obj)

    def check(self, obj: Obj) -> list[FieldError]:
        """What is wrong with `obj`; `fielderror.as_api_error` makes the answer. Unknown fields are not errors here."""
        mistake = self.mistake(obj)
        if mistake:
            return [decode("", mistake)]
        return check.errors(self.root, obj) if self.custom else []

    def unknown(self, obj: Obj) -> list[str]:
        """Paths that the schema does not name, e.g. `spec.containers[0].foo`; they will be pruned."""
        return [] if self.fits(obj) else shape.unknown(self.root, obj)

    def prune(self, obj: Obj) -> Obj:
        """Without unknown fields; built-in kinds also lose nulls, which Go decodes as absent."""
        return shape.prune(self.root, obj, drop_nulls=not self.custom)

    def default(self, obj: Obj) -> Obj:
        """With the defaults of a custom kind's schema; those of built-in kinds are `defaults.apply`."""
        return shape.default(self.root, obj) if self.custom else obj

    def written(self, obj: Obj) -> Obj:
        """With the zero values that are part of every answer."""
        filled: Obj = self.zeros(obj) if self.zeros is not None else obj
        return filled

    @property
    def newborn(self) -> Obj:
        """What there is of an object before anybody said anything about it."""
        return self.written({})
