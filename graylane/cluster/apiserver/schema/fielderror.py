"""One thing wrong with one field of an object, worded as kube-apiserver words it.

Pure. In: field path, what is wrong, the bad value. Out: `FieldError`; `as_api_error` turns a list of them into the
error a client receives: 422 with one cause per field, or 400 when the body could not be decoded at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from graylane.errors import ApiError, BadRequest, Invalid

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
TYPE_INVALID = "FieldValueTypeInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
NOT_FOUND = "FieldValueNotFound"
DECODE = "DecodeError"  # not a Kubernetes cause type: these never become causes, the whole request is a 400


@dataclass(frozen=True, slots=True)
class FieldError:
    """`path` is `spec.ports[0].name`; `message` is what follows the path and a colon in kubectl's output."""

    path: str
    type: str
    message: str

    @property
    def code(self) -> int:
        return 400 if self.type == DECODE else 422

    def to_cause(self) -> dict[str, str]:
        return {"reason": self.type, "message": self.message, "field": self.path}

    def __str__(self) -> str:
        return self.message if self.type == DECODE else f"{self.path}: {self.message}"


def shown(value: Any) -> str:
    """A bad value as Go prints it in messages: strings quoted, numbers bare, anything larger as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def required(path: str, detail: str = "") -> FieldError:
    return FieldError(path, REQUIRED, f"Required value: {detail}" if detail else "Required value")


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError(path, INVALID, f"Invalid value: {shown(value)}" + (f": {detail}" if detail else ""))


def type_invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError(path, TYPE_INVALID, f"Invalid value: {shown(value)}: {detail}")


def not_supported(path: str, value: Any, supported: Iterable[Any]) -> FieldError:
    choices = ", ".join(shown(choice) for choice in supported)
    return FieldError(path, NOT_SUPPORTED, f"Unsupported value: {shown(value)}: supported values: {choices}")


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(path, DUPLICATE, f"Duplicate value: {shown(value)}")


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError(path, FORBIDDEN, f"Forbidden: {detail}")


def too_long(path: str, limit: int) -> FieldError:
    return FieldError(path, TOO_LONG, f"Too long: may not be more than {limit} bytes")


def too_many(path: str, count: int, limit: int, noun: str = "items") -> FieldError:
    return FieldError(path, TOO_MANY, f"Too many: {count}: must have at most {limit} {noun}")


def not_found(path: str, value: Any) -> FieldError:
    return FieldError(path, NOT_FOUND, f"Not found: {shown(value)}")


def decode(path: str, message: str) -> FieldError:
    return FieldError(path, DECODE, message)


def as_api_error(group: str, version: str, kind: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """What the client gets for a non-empty list of errors; a body that does not decode outweighs all else."""
    for error in errors:
        if error.type == DECODE:
            return cannot_decode(group, version, kind, error.message)
    text = ", ".join(str(error) for error in errors)
    qualified = f"{kind}.{group}" if group else kind
    return Invalid(
        f'{qualified} "{name}" is invalid: {f"[{text}]" if len(errors) > 1 else text}',
        details={
            **({"name": name} if name else {}),
            **({"group": group} if group else {}),
            "kind": kind,
            "causes": [error.to_cause() for error in errors],
        },
    )


def cannot_decode(group: str, version: str, kind: str, message: str) -> BadRequest:
    """The 400 of a body with the wrong types, unknown fields or duplicates; the group is not part of the sentence."""
    return BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: {message}')


def strict(errors: Iterable[str]) -> str:
    """`strict decoding error: unknown field "spec.foo", duplicate field "spec.bar"`."""
    return f"strict decoding error: {', '.join(errors)}"
