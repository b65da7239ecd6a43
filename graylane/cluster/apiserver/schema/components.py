"""The OpenAPI components of the built-in kinds, from the file that `tools/extract_openapi.py` made.

Pure, but for reading that one file of the package itself. In: a component's name, such as `io.k8s.api.core.v1.PodSpec`.
Out: its `Node`, compiled when first asked for, and its raw schema, for OpenAPI.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from graylane.cluster.apiserver.schema.node import Node

REF = "#/components/schemas/"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
MACHINERY = "io.k8s.apimachinery.pkg."

Gvk = tuple[str, str, str]


class Components:
    """All built-in types of one Kubernetes minor. Loading takes about 10 ms."""

    def __init__(self, version: str, schemas: Mapping[str, Any]) -> None:
        self.version = version
        self.schemas = schemas
        self.kinds: dict[Gvk, str] = dict(_kinds(schemas))
        self._nodes: dict[str, Node] = {}

    @staticmethod
    @cache
    def load() -> Components:
        path = files("graylane.cluster.apiserver.schema") / "data" / "kubernetes.json.gz"
        data = orjson.loads(gzip.decompress(path.read_bytes()))
        return Components(data["version"], data["schemas"])

    def node(self, name: str) -> Node:
        """The compiled component called `name`."""
        if name not in self._nodes:
            schema = self.schemas[name]
            fields: dict[str, Node] = {}
            # Registered before its fields are compiled: JSONSchemaProps contains itself.
            self._nodes[name] = _node(schema, fields=fields, name=name.rsplit(".", 1)[-1], definition=name)
            for field, child in schema.get("properties", {}).items():
                fields[field] = self._compile(child)
        return self._nodes[name]

    def _compile(self, schema: Mapping[str, Any]) -> Node:
        """A schema written inline: a reference with its own merge strategy, a list, a map, or a plain value."""
        if name := reference(schema):
            target = self.node(name)
            facts = merge_facts(schema) | own_default(schema)
            return replace(target, **facts) if facts else target
        items, extra = schema.get("items"), schema.get("additionalProperties")
        return _node(
            schema,
            fields={name: self._compile(child) for name, child in schema.get("properties", {}).items()},
            items=self._compile(items) if items else None,
            extra=self._compile(extra) if extra else None,
        )


def reference(schema: Mapping[str, Any]) -> str:
    """The component that a schema refers to, directly or as its only `allOf`; "" when written inline."""
    target = schema.get("$ref") or next((part["$ref"] for part in schema.get("allOf", ()) if "$ref" in part), "")
    return str(target).removeprefix(REF)


def _kinds(schemas: Mapping[str, Any]) -> Iterator[tuple[Gvk, str]]:
    """(group, version, kind) → component; the machinery's own types count under the core group only."""
    for name, schema in schemas.items():
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            if not name.startswith(MACHINERY) or not kind["group"]:
                yield (kind["group"], kind["version"], kind["kind"]), name


def _node(schema: Mapping[str, Any], **parts: Any) -> Node:
    kind, form = schema.get("type", ""), schema.get("format", "")
    data = kind == "object" and "properties" not in schema and not parts.get("extra")
    whole = {"map_type": "atomic"} if data else {}  # what has no fields of its own has one owner
    return Node(
        type="int-or-string" if form == "int-or-string" else kind,
        format=form,
        required=tuple(schema.get("required", ())),
        nullable=True,  # a null decodes as the zero value in every built-in kind
        open=not kind or data,
        **whole | merge_facts(schema),
        **own_default(schema),
        **parts,
    )


def own_default(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"default": schema["default"]} if "default" in schema else {}


def merge_facts(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a schema says about merging; only the keys it has, so that a reference keeps its target's."""
    facts: dict[str, Any] = {}
    if list_type := schema.get("x-kubernetes-list-type"):
        facts["list_type"] = list_type
    if keys := schema.get("x-kubernetes-list-map-keys"):
        facts["list_keys"] = tuple(keys)
    if map_type := schema.get("x-kubernetes-map-type"):
        facts["map_type"] = map_type
    if merge_key := schema.get("x-kubernetes-patch-merge-key"):
        facts["merge_key"] = merge_key
    if strategy := schema.get("x-kubernetes-patch-strategy"):
        facts["patch_strategy"] = frozenset(strategy.split(","))
    return facts
