"""The query options of writes, checked as kube-apiserver checks them.

Pure. In: `Query`. Out: `WriteOptions`; `Invalid` for values that do not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from graylane.cluster.apiserver.exchange import Query
from graylane.cluster.apiserver.schema.fielderror import (
    FieldError,
    as_api_error,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)

_NAME_MAX = 128


class FieldValidation(StrEnum):
    STRICT = "Strict"
    WARN = "Warn"
    IGNORE = "Ignore"


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """`fieldValidation` defaults to Warn; `dryRun=All` does everything but the write.

    `applying` is true for server-side apply, which says itself who owns what; `force` takes fields from other owners.
    """

    dry_run: bool = False
    field_validation: FieldValidation = FieldValidation.WARN
    field_manager: str = ""
    force: bool = False
    applying: bool = False

    @staticmethod
    def of(query: Query, kind: str = "CreateOptions", *, applying: bool = False) -> WriteOptions:
        errors: list[FieldError] = []
        dry_run = [value for value in query.all("dryRun") if value]
        errors += [not_supported("dryRun", value, ["All"]) for value in dry_run if value != "All"]
        validation = query.text("fieldValidation") or FieldValidation.WARN
        if validation not in list(FieldValidation):
            errors.append(not_supported("fieldValidation", validation, sorted(FieldValidation)))
        errors += _named_well(query.text("fieldManager"))
        if kind == "PatchOptions" and not applying and query.all("force"):
            errors.append(forbidden("force", "may not be specified for non-apply patch"))
        if applying and not query.text("fieldManager"):
            errors.insert(0, required("fieldManager", "is required for apply patch"))
        if errors:
            raise as_api_error("meta.k8s.io", "v1", kind, "", errors)
        return WriteOptions(bool(dry_run), FieldValidation(validation), query.text("fieldManager"))

    @staticmethod
    def of_apply(query: Query) -> WriteOptions:
        """Server-side apply wants to know who applies."""
        options = WriteOptions.of(query, "PatchOptions", applying=True)
        return replace(options, force=query.flag("force"), applying=True)


def _named_well(manager: str) -> list[FieldError]:
    """A manager's name is printable and short."""
    if len(manager.encode()) > _NAME_MAX:
        return [too_long("fieldManager", _NAME_MAX)]
    odd = next(((at, char) for at, char in enumerate(manager) if not char.isprintable()), None)
    if odd is None:
        return []
    return [invalid("fieldManager", manager, f"invalid character U+{ord(odd[1]):04X} (at position {odd[0]})")]
