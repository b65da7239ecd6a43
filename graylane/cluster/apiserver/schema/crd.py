"""Compile a CustomResourceDefinition's `openAPIV3Schema` into the nodes everything else walks.

Pure. In: the schema as the CRD holds it. Out: the root `Node`, with the object head (apiVersion, kind, metadata) that
every kind has whether its schema mentions it or not, and the paths of CEL rules (which `celrules.py` evaluates).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from graylane.cluster.apiserver.schema.components import OBJECT_META, Components, merge_facts
from graylane.cluster.apiserver.schema.node import ABSENT, ANYTHING, STRING, Node
from graylane.cluster.apiserver.schema.rules import compile_rules

Schema = Mapping[str, Any]


@cache
def head() -> Node:
    """What kube-apiserver decodes of a custom object itself: the rest is data to it."""
    meta = Components.load().node(OBJECT_META)
    fields = {"apiVersion": STRING, "kind": STRING, "metadata": meta}
    return Node(type="object", name="PartialObjectMetadata", fields=fields, open=True)


def root(schema: Schema | None) -> Node:
    """The whole object; without a schema every field is kept."""
    node = compile_node(schema) if schema else Node(type="object", open=True)
    return _with_head(node)


def _with_head(node: Node) -> Node:
    return replace(node, fields={**node.fields, **head().fields})


def compile_node(schema: Schema) -> Node:
    """One position of a structural schema."""
    items, extra = schema.get("items"), schema.get("additionalProperties")
    node = Node(
        type="int-or-string" if schema.get("x-kubernetes-int-or-string") else schema.get("type", ""),
        format=schema.get("format", ""),
        fields={name: compile_node(child) for name, child in schema.get("properties", {}).items()},
        items=compile_node(items) if isinstance(items, Mapping) else None,
        extra=compile_node(extra) if isinstance(extra, Mapping) else ANYTHING if extra is True else None,
        required=tuple(schema.get("required", ())),
        nullable=bool(schema.get("nullable")),
        open=bool(schema.get("x-kubernetes-preserve-unknown-fields")) or not _specified(schema),
        embedded=bool(schema.get("x-kubernetes-embedded-resource")),
        default=schema.get("default", ABSENT),
        rules=compile_rules(schema, compile_node),
        **_merge(schema),
    )
    return _with_head(node) if node.embedded else node


def _specified(schema: Schema) -> bool:
    """Whether the schema says what may be inside; the branches of oneOf and not say nothing about fields."""
    return bool(schema.get("type") or schema.get("properties") or schema.get("x-kubernetes-int-or-string"))


def _merge(schema: Schema) -> dict[str, Any]:
    return merge_facts({name: value for name, value in schema.items() if name.startswith("x-kubernetes-")})


def cel_paths(schema: Schema, path: str = "") -> Iterator[str]:
    """Where the schema holds `x-kubernetes-validations`."""
    if schema.get("x-kubernetes-validations"):
        yield path or "<root>"
    for name, child in schema.get("properties", {}).items():
        yield from cel_paths(child, f"{path}.{name}" if path else name)
    if isinstance(schema.get("items"), Mapping):
        yield from cel_paths(schema["items"], f"{path}[*]")
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from cel_paths(schema["additionalProperties"], f"{path}.*")
