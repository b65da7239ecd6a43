"""What is served, told to clients: `/api`, `/apis`, one list per group version, and all of it at once ("aggregated").

Pure. In: the registry. Out: documents as dicts. A client that accepts the aggregated form needs two requests in all.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.cluster.apiserver import failures, media
from graylane.cluster.apiserver.registry import Registry
from graylane.cluster.apiserver.resources import REVIEWS, Resource, Review
from graylane.cluster.apiserver.subresources.table import verbs_of
from graylane.model.meta import Obj

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_RESPONSE_KINDS = {
    "binding": ("", "v1", "Binding"),
    "eviction": ("policy", "v1", "Eviction"),
    "scale": ("autoscaling", "v1", "Scale"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
}


def wants_aggregated(accept: str) -> bool:
    """Only v2: what older kubectl calls v2beta1 has the same shape, but 1.27 and 1.28 break when answered with v2."""
    asked = {"as": "APIGroupDiscoveryList", "v": "v2", "g": "apidiscovery.k8s.io"}
    return any(asked.items() <= clause.params.items() for clause in media.parse(accept))


def aggregated(registry: Registry, *, core: bool) -> Obj:
    """`/api` (core) or `/apis` (all others) as an APIGroupDiscoveryList."""
    items = [
        _group_item(registry, group, versions) for group, versions in _groups(registry).items() if (group == "") is core
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _group_item(registry: Registry, group: str, versions: list[str]) -> Obj:
    shown = [
        {
            "version": version,
            "resources": [
                *map(_resource_item, _served(registry, group, version)),
                *map(_review_item, _reviews(group, version)),
            ],
            "freshness": "Current",
        }
        for version in versions
    ]
    return {"metadata": {"name": group} if group else {}, "versions": shown}


def _resource_item(resource: Resource) -> Obj:
    item: Obj = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular_name,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        item["shortNames"] = list(resource.short_names)
    if resource.categories:
        item["categories"] = list(resource.categories)
    subresources = [
        {"subresource": sub, "responseKind": _response_kind(resource, sub), "verbs": verbs_of(sub)}
        for sub in resource.subresources
        if verbs_of(sub)
    ]
    if subresources:
        item["subresources"] = subresources
    return item


def _review_item(review: Review) -> Obj:
    return {
        "resource": review.plural,
        "responseKind": _kind(review.group, review.version, review.kind),
        "scope": "Namespaced" if review.namespaced else "Cluster",
        "singularResource": review.kind.lower(),
        "verbs": ["create"],
    }


def _response_kind(resource: Resource, subresource: str) -> Obj:
    return _kind(*_RESPONSE_KINDS.get(subresource, (resource.group, resource.version, resource.kind)))


def _kind(group: str, version: str, kind: str) -> Obj:
    return {"group": group, "version": version, "kind": kind}


def groups(registry: Registry) -> Obj:
    """`/apis` in its plain form."""
    found = [_group(group, versions) for group, versions in _groups(registry).items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def group(registry: Registry, name: str) -> Obj:
    """`/apis/apps`."""
    versions = _groups(registry).get(name)
    if not name or versions is None:
        raise failures.no_such_path(f"/apis/{name}")
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: list[str]) -> Obj:
    shown = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": shown, "preferredVersion": shown[0]}


def core_versions() -> Obj:
    """`/api` in its plain form."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def resources(registry: Registry, group_name: str, version: str) -> Obj:
    """`/api/v1` or `/apis/apps/v1`: an APIResourceList."""
    served, reviews = list(_served(registry, group_name, version)), list(_reviews(group_name, version))
    if not served and not reviews:
        raise failures.no_such_path(f"/apis/{group_name}/{version}" if group_name else f"/api/{version}")
    group_version = f"{group_name}/{version}" if group_name else version
    found = [entry for resource in served for entry in _flat(resource)]
    found += map(_flat_review, reviews)
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": found}


def _flat(resource: Resource) -> Iterable[Obj]:
    whole: Obj = {
        "name": resource.plural,
        "singularName": resource.singular_name,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        whole["shortNames"] = list(resource.short_names)
    if resource.categories:
        whole["categories"] = list(resource.categories)
    yield whole
    for sub in resource.subresources:
        if verbs_of(sub):
            kind = _response_kind(resource, sub)
            yield {
                "name": f"{resource.plural}/{sub}",
                "singularName": "",
                "namespaced": resource.namespaced,
                **kind,
                "verbs": verbs_of(sub),
            }


def _flat_review(review: Review) -> Obj:
    return {
        "name": review.plural,
        "singularName": review.kind.lower(),
        "namespaced": review.namespaced,
        "kind": review.kind,
        "verbs": ["create"],
    }


def _groups(registry: Registry) -> dict[str, list[str]]:
    found = registry.groups()
    for review in REVIEWS:
        versions = found.setdefault(review.group, [])
        if review.version not in versions:
            versions.append(review.version)
    return found


def _served(registry: Registry, group_name: str, version: str) -> Iterable[Resource]:
    return (r for r in registry.all() if r.group == group_name and r.version == version)


def _reviews(group_name: str, version: str) -> Iterable[Review]:
    return (r for r in REVIEWS if r.group == group_name and r.version == version)
