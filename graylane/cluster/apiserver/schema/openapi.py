"""The OpenAPI v3 documents that kubectl reads for `apply`, `diff`, `edit` and `explain`, one per group version.

Pure. In: the served resources of a group version, the built-in schemas, the custom kinds' own schemas. Out: documents
as dicts. kubectl learns from them which patch types and query parameters a resource takes, and how lists merge. The
document for kubectl 1.28 and older, in protobuf, is `openapi_v2.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema.components import OBJECT_META, REF, Components, Gvk, reference
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.model.meta import Obj

Crds = Mapping[Gvk, Obj]

SCALE = "io.k8s.api.autoscaling.v1.Scale"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
JSON, MERGE, STRATEGIC, APPLY = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
BUILT_IN_PATCHES = (APPLY, JSON, MERGE, STRATEGIC)
CUSTOM_PATCHES = (APPLY, JSON, MERGE)  # lists of custom kinds have no merge keys, so no strategic merge: 415

# kubectl refuses --dry-run=server and --validate=strict for a kind unless its PATCH names these parameters.
_PARAMETERS = {
    "create": ("dryRun", "fieldManager", "fieldValidation"),
    "update": ("dryRun", "fieldManager", "fieldValidation"),
    "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
    "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy", "orphanDependents"),
    "deletecollection": ("dryRun", "fieldSelector", "labelSelector", "propagationPolicy"),
    "list": ("fieldSelector", "labelSelector", "limit", "continue", "resourceVersion", "watch", "timeoutSeconds"),
}
_PARAMETER_TYPES = {
    "force": "boolean",
    "watch": "boolean",
    "orphanDependents": "boolean",
    "gracePeriodSeconds": "integer",
    "limit": "integer",
    "timeoutSeconds": "integer",
}


def v3_index(hashes: Mapping[str, str]) -> Obj:
    """`/openapi/v3`: where each group version's document is. `hashes` maps `v1`, `apps/v1` … to `v3_hash`."""
    paths = {}
    for group_version, digest in hashes.items():
        path = root_of(group_version)
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def root_of(group_version: str) -> str:
    """`apis/apps/v1`, `api/v1`."""
    return f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"


def v3_hash(resources: Iterable[Resource], schemas: Schemas, crds: Crds) -> str:
    """Changes whenever the document would; from its inputs, so that no document is built only to be hashed."""
    digest = hashlib.sha256(schemas.components.version.encode())
    for resource in resources:
        digest.update(repr(resource).encode())
        digest.update(orjson.dumps(_own_schema(resource, crds), option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()[:32].upper()


def v3_document(resources: Iterable[Resource], schemas: Schemas, crds: Crds) -> Obj:
    """One group version. `crds` maps each custom (group, version, kind) to its `openAPIV3Schema`."""
    served = list(resources)
    components = schemas.components
    paths: Obj = {}
    for resource in served:
        paths |= resource_paths(resource, components)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Graylane", "version": f"v{components.version}.0"},
        "paths": paths,
        "components": {"schemas": component_schemas(served, components, crds)},
    }


def _own_schema(resource: Resource, crds: Crds) -> Obj:
    return crds.get((resource.group, resource.version, resource.kind)) or {}


def component_schemas(resources: Iterable[Resource], components: Components, crds: Crds) -> Obj:
    """The kinds themselves, their lists, and everything they refer to."""
    schemas: Obj = {}
    names = {META + "DeleteOptions", META + "Status", META + "Patch"}
    for resource in resources:
        if resource.custom:
            names |= {OBJECT_META, META + "ListMeta"}
            schemas |= _custom_schemas(resource, _own_schema(resource, crds))
        else:
            names |= {component_name(resource, components), _list_name(resource, components)}
        if resource.has("scale"):
            names.add(SCALE)
    for name in _closure(names, components):
        schemas[name] = components.schemas[name]
    return schemas


def component_name(resource: Resource, components: Components) -> str:
    """`io.k8s.api.apps.v1.Deployment`; for custom kinds the group reversed, as kube-apiserver names them."""
    if resource.custom:
        return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
    return components.kinds[resource.group, resource.version, resource.kind]


def _list_name(resource: Resource, components: Components) -> str:
    return component_name(resource, components) + "List"


def _closure(names: Iterable[str], components: Components) -> Iterator[str]:
    """`names` and all components they reach, each once."""
    seen: set[str] = set()
    todo = sorted(name for name in names if name in components.schemas)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            yield name
            todo += _references(components.schemas[name])


def _references(schema: Any) -> Iterator[str]:
    if name := reference(schema):
        yield name
    for child in schema.get("properties", {}).values():
        yield from _references(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield from _references(schema[key])


def _custom_schemas(resource: Resource, schema: Obj) -> Obj:
    """The kind and its list; the head that every object has is added to what the definition says."""
    name = component_name(resource, Schemas.load().components)
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    head = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"allOf": [_ref(OBJECT_META)]},
    }
    whole = {"type": "object", **schema, "x-kubernetes-group-version-kind": [gvk]}
    whole["properties"] = {**(schema.get("properties") or {}), **head}
    items = {"type": "array", "items": _ref(name)}
    many = {
        "type": "object",
        "required": ["items"],
        "properties": {**head, "metadata": {"allOf": [_ref(META + "ListMeta")]}, "items": items},
        "x-kubernetes-group-version-kind": [gvk | {"kind": resource.list_name}],
    }
    return {name: whole, name + "List": many}


def _ref(name: str) -> Obj:
    return {"$ref": REF + name}


def resource_paths(resource: Resource, components: Components) -> Obj:
    """Every path of a resource with its operations."""
    one, many = component_name(resource, components), _list_name(resource, components)
    scope = "namespaces/{namespace}/" if resource.namespaced else ""
    root = f"/{root_of(resource.api_version)}/"
    collection, item = f"{root}{scope}{resource.plural}", f"{root}{scope}{resource.plural}/{{name}}"
    paths: Obj = {
        collection: {
            "get": _operation(resource, "list", many),
            "post": _operation(resource, "create", one),
            "delete": _operation(resource, "deletecollection", META + "Status"),
        },
        item: {
            "get": _operation(resource, "get", one),
            "put": _operation(resource, "update", one),
            "patch": _operation(resource, "patch", one),
            "delete": _operation(resource, "delete", META + "Status"),
        },
    }
    if resource.namespaced:
        paths[f"{root}{resource.plural}"] = {"get": _operation(resource, "list", many)}
    for name in resource.subresources:
        if name in ("status", "scale"):
            paths[f"{item}/{name}"] = _subresource(resource, name, one)
    for path, operations in paths.items():
        operations["parameters"] = [_path_parameter(name) for name in ("name", "namespace") if f"{{{name}}}" in path]
    return paths


def _subresource(resource: Resource, name: str, one: str) -> Obj:
    kind = one if name == "status" else SCALE
    verbs = {"get": "get", "put": "update", "patch": "patch"}
    return {method: _operation(resource, verb, kind, subresource=name) for method, verb in verbs.items()}


def _operation(resource: Resource, verb: str, component: str, subresource: str = "") -> Obj:
    title = "".join(part.capitalize() for part in (resource.group.partition(".")[0] or "core", resource.version))
    operation: Obj = {
        "operationId": f"{verb}{title}{resource.kind}{subresource.capitalize()}",
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": _ref(component)}}}},
        "x-kubernetes-action": {"create": "post", "update": "put"}.get(verb, verb),
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
    }
    if verb in _PARAMETERS:
        operation["parameters"] = [_query_parameter(name) for name in _PARAMETERS[verb]]
    if verb == "patch":
        content = {media: {"schema": _ref(META + "Patch")} for media in patch_types(resource)}
        operation["requestBody"] = {"content": content, "required": True}
    elif verb in ("create", "update"):
        operation["requestBody"] = {"content": {"*/*": {"schema": _ref(component)}}, "required": True}
    return operation


def patch_types(resource: Resource) -> tuple[str, ...]:
    return CUSTOM_PATCHES if resource.custom else BUILT_IN_PATCHES


def _query_parameter(name: str) -> Obj:
    return {"name": name, "in": "query", "schema": {"type": _PARAMETER_TYPES.get(name, "string"), "uniqueItems": True}}


def _path_parameter(name: str) -> Obj:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}
