"""CustomResourceDefinitions and webhook configurations: what they promise must be something we can keep.

Pure. In: the new object and, on update, the old one. Out: field errors. A schema must be structural, a pattern must
compile, a printer column must have a JSONPath we can follow. Follows apiextensions/v1 of Kubernetes 1.32.
"""

from __future__ import annotations

from graylane.cluster.apiserver.schema.fielderror import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from graylane.cluster.apiserver.schema.printers import jsonpath
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.cluster.apiserver.schema.validate import syntax
from graylane.cluster.apiserver.schema.validate.checks import Errors, needed, one_of, spelled
from graylane.cluster.apiserver.schema.validate.conversions import conversion, https
from graylane.errors import UserError
from graylane.model import re2
from graylane.model.meta import Obj, annotations_of, dig

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED = ("$ref", "$schema", "definitions", "dependencies", "id", "patternProperties", "additionalItems")
_PROTECTED = (".k8s.io", ".kubernetes.io")
_APPROVAL = "api-approved.kubernetes.io"


def definition(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    yield from needed(spec, "group", "spec", syntax.subdomain)
    yield from _group(new, spec.get("group") or "")
    yield from one_of(spec, "scope", "spec", ("Cluster", "Namespaced"))
    if spec.get("preserveUnknownFields"):
        detail = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        )
        yield invalid("spec.preserveUnknownFields", True, detail)
    for name in ("shortNames", "categories"):
        for index, word in enumerate((spec.get("names") or {}).get(name) or ()):
            yield from spelled(word, f"spec.names.{name}[{index}]", syntax.label)
    for name in ("plural", "singular"):
        if (spec.get("names") or {}).get(name) or name == "plural":
            yield from needed(spec.get("names") or {}, name, "spec.names", syntax.label)
    yield from needed(spec.get("names") or {}, "kind", "spec.names")
    if spec.get("conversion"):
        yield from conversion(spec["conversion"])
    if not spec.get("versions"):
        yield required("spec.versions")
    seen: set[str] = set()
    for index, version in enumerate(spec.get("versions") or ()):
        path, name = f"spec.versions[{index}]", version.get("name") or ""
        yield from needed(version, "name", path, syntax.label)
        if name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        yield from _version(version, path)
    for index, name in enumerate(dig(new, "status", "storedVersions", default=[])):
        if name not in seen:  # objects of it may still lie in the store
            yield invalid(f"status.storedVersions[{index}]", name, "must appear in spec.versions")


def _group(new: Obj, group: str) -> Errors:
    """Kubernetes' own groups are open to those whom it has approved."""
    if group and "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    if group.endswith(_PROTECTED) and not annotations_of(new).get(_APPROVAL):
        detail = f'protected groups must have approval annotation "{_APPROVAL}"'
        yield required(f"metadata.annotations[{_APPROVAL}]", detail)


def _version(version: Obj, path: str) -> Errors:
    schema, where = dig(version, "schema", "openAPIV3Schema"), f"{path}.schema.openAPIV3Schema"
    if schema is None:
        yield required(where, "schemas are required")
    else:
        yield from _root(schema, where)
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        yield from _column(column, f"{path}.additionalPrinterColumns[{index}]")
    for name, found in (dig(version, "subresources", "scale", default={}) or {}).items():
        if not str(found).startswith("."):
            yield invalid(f"{path}.subresources.scale.{name}", found, "must be a simple json path starting with .")
    for index, field in enumerate(version.get("selectableFields") or ()):
        if not _is_selectable(schema or {}, field.get("jsonPath") or ""):
            detail = "is an invalid path: does not refer to a valid field"
            yield invalid(f"{path}.selectableFields[{index}].jsonPath", field.get("jsonPath"), detail)


def _is_selectable(schema: Obj, path: str) -> bool:
    """A path of names that leads to a text, a number or a yes or no."""
    for name in path.removeprefix(".").split("."):
        schema = dig(schema, "properties", name, default={})
    return path.startswith(".") and schema.get("type") in ("boolean", "integer", "string")


def _root(schema: Obj, path: str) -> Errors:
    if not schema.get("type"):
        yield required(f"{path}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        yield invalid(f"{path}.type", schema["type"], "must be object at the root")
    extra = set(dig(schema, "properties", "metadata", "properties", default={})) - {"name", "generateName"}
    if extra:
        detail = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden(f"{path}.properties[metadata]", detail)
    found = list(_position(schema, path))
    yield from found
    if not found:
        yield from _defaults(schema, path)


def _position(schema: Obj, path: str) -> Errors:
    """A structural schema says a type at every position, and uses nothing that would make fields ambiguous."""
    for name in _UNSUPPORTED:
        if schema.get(name):
            yield forbidden(f"{path}.{name}", f"{name} is not supported")
    if schema.get("type") and schema["type"] not in _TYPES:
        yield not_supported(f"{path}.type", schema["type"], _TYPES)
    if schema.get("properties") and schema.get("additionalProperties"):
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if schema.get("pattern"):
        yield from _compiles(schema["pattern"], f"{path}.pattern")
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", detail)
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        yield required(f"{path}.items", "must be specified")
    if schema.get("x-kubernetes-list-type") == "map":
        yield from _list_keys(schema, path)
    for where, child in _children(schema, path):
        yield from _typed(child, where)
        yield from _position(child, where)


def _list_keys(schema: Obj, path: str) -> Errors:
    """The keys that tell a list's elements apart are fields that every element has."""
    keys, items = schema.get("x-kubernetes-list-map-keys") or (), schema.get("items") or {}
    if not keys:
        yield required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    for index, key in enumerate(keys):
        where = f"{path}.x-kubernetes-list-map-keys[{index}]"
        field = dig(items, "properties", key)
        if field is None:
            yield invalid(where, key, "entries must all be names of item properties")
        elif key not in (items.get("required") or ()) and "default" not in field:
            detail = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )
            yield required(f"{path}.items.properties[{key}].default", detail)


def _children(schema: Obj, path: str) -> list[tuple[str, Obj]]:
    found = [(f"{path}.properties[{name}]", child) for name, child in (schema.get("properties") or {}).items()]
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            found.append((f"{path}.{name}", schema[name]))
    return found


def _typed(schema: Obj, path: str) -> Errors:
    if schema.get("type"):
        return
    if schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    what = "specified array items" if path.endswith(".items") else "specified object fields"
    yield required(f"{path}.type", f"must not be empty for {what}")


def _compiles(pattern: str, path: str) -> Errors:
    try:
        re2.compile_pattern(pattern)
    except UserError as error:
        yield invalid(path, pattern, f"must be a valid regular expression, but isn't: {error}")


def _defaults(schema: Obj, path: str) -> Errors:
    """A default must itself be what its own schema allows."""
    for where, child in _children(schema, path):
        if "default" in child:
            for error in _wrong(child):
                yield invalid(f"{where}.default{error.path and '.' + error.path}", child["default"], error.message)
        yield from _defaults(child, where)


def _wrong(schema: Obj) -> list[FieldError]:
    wrapped = Structural.from_crd({"type": "object", "properties": {"default": schema}})
    found = wrapped.check({"default": schema["default"]})
    return [
        FieldError(error.path.removeprefix("default").removeprefix("."), error.type, error.message) for error in found
    ]


def _column(column: Obj, path: str) -> Errors:
    yield from needed(column, "name", path)
    yield from one_of(column, "type", path, _COLUMN_TYPES)
    yield from needed(column, "jsonPath", path)
    if not column.get("jsonPath"):
        return
    try:
        jsonpath.parse(column["jsonPath"])
    except UserError as error:
        yield invalid(f"{path}.jsonPath", column["jsonPath"], str(error))


def webhooks(new: Obj, old: Obj | None) -> Errors:
    names: set[str] = set()
    for index, hook in enumerate(new.get("webhooks") or ()):
        path, name = f"webhooks[{index}]", hook.get("name") or ""
        yield from needed(hook, "name", path, _qualified)
        if name in names:
            yield duplicate(f"{path}.name", name)
        names.add(name)
        yield from _webhook(hook, path)


def _webhook(hook: Obj, path: str) -> Errors:
    versions = hook.get("admissionReviewVersions") or []
    if not {"v1", "v1beta1"} & set(versions):
        yield required(f"{path}.admissionReviewVersions", "must specify one of v1, v1beta1")
    yield from one_of(hook, "sideEffects", path, ("None", "NoneOnDryRun"))
    yield from one_of(hook, "failurePolicy", path, ("Fail", "Ignore"))
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        yield invalid(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
    client = hook.get("clientConfig") or {}
    if (client.get("url") is None) == (client.get("service") is None):
        yield required(f"{path}.clientConfig", "exactly one of url or service is required")
    elif client.get("url") is not None:
        yield from spelled(client["url"], f"{path}.clientConfig.url", https)


def _qualified(name: str) -> list[str]:
    problems = list(syntax.subdomain(name))
    return (
        problems
        if problems or name.count(".") >= 2
        else ["should be a domain with at least three segments separated by dots"]
    )
