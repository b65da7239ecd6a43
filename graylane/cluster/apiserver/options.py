"""The query options of writes, checked as kube-apiserver checks them.

Pure. In: `Query`. Out: `WriteOptions`; `Invalid` for values that do not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from graylane.cluster.apiserver.exchange import Query
from graylane.cluster.apiserver.schema.fielderror import FieldError, as_api_error, not_supported, required


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
    def of(query: Query, kind: str = "CreateOptions") -> WriteOptions:
        errors: list[FieldError] = []
        dry_run = [value for value in query.all("dryRun") if value]
        errors += [not_supported("dryRun", value, ["All"]) for value in dry_run if value != "All"]
        validation = query.text("fieldValidation") or FieldValidation.WARN
        if validation not in list(FieldValidation):
            errors.append(not_supported("fieldValidation", validation, sorted(FieldValidation)))
        if errors:
            raise as_api_error("meta.k8s.io", "v1", kind, "", errors)
        return WriteOptions(bool(dry_run), FieldValidation(validation), query.text("fieldManager"))

    @staticmethod
    def of_apply(query: Query) -> WriteOptions:
        """Server-side apply wants to know who applies."""
        options = WriteOptions.of(query, "PatchOptions")
        if not options.field_manager:
            errors = [required("fieldManager", "is required for apply patch")]
            raise as_api_error("meta.k8s.io", "v1", "PatchOptions", "", errors)
        return replace(options, force=query.flag("force"), applying=True)
