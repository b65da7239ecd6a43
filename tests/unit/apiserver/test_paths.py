"""What URLs and headers mean."""

from __future__ import annotations

import pytest

from graylane.cluster.apiserver import media, paths
from graylane.cluster.apiserver.exchange import Query
from graylane.cluster.apiserver.paths import Target
from graylane.cluster.apiserver.registry import version_order
from graylane.errors import NotAcceptable


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/pods", Target("", "v1", "pods")),
        ("/api/v1/namespaces", Target("", "v1", "namespaces")),
        ("/api/v1/namespaces/shop", Target("", "v1", "namespaces", "shop", "shop")),
        ("/api/v1/namespaces/shop/finalize", Target("", "v1", "namespaces", "shop", "shop", "finalize")),
        ("/api/v1/namespaces/shop/status", Target("", "v1", "namespaces", "shop", "shop", "status")),
        ("/api/v1/namespaces/shop/pods/", Target("", "v1", "pods", "shop")),
        ("/api/v1/namespaces/shop/pods/a/log", Target("", "v1", "pods", "shop", "a", "log")),
        ("/api/v1/nodes/one", Target("", "v1", "nodes", "", "one")),
        ("/apis/apps/v1/namespaces/shop/deployments/a", Target("apps", "v1", "deployments", "shop", "a")),
        ("/api/v1/namespaces/n/pods/a:80/proxy/x/y", Target("", "v1", "pods", "n", "a:80", "proxy", "x/y")),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aadmin",
            Target("rbac.authorization.k8s.io", "v1", "clusterroles", "", "system:admin"),
        ),
    ],
)
def test_a_path_names_a_resource(path: str, target: Target) -> None:
    assert paths.parse(path) == target


@pytest.mark.parametrize("path", ["/", "/version", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/x/y/z"])
def test_other_paths_name_none(path: str) -> None:
    assert paths.parse(path) is None


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", media.Wanted()),
        ("application/json, */*", media.Wanted()),
        ("application/vnd.kubernetes.protobuf,application/json", media.Wanted()),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", media.Wanted(media.Shape.TABLE)),
        ("application/json; g=meta.k8s.io ;v=v1beta1; as=Table", media.Wanted(media.Shape.TABLE, "v1beta1")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", media.Wanted()),
        ("application/yaml", media.Wanted(yaml=True)),
        ("application/yaml;q=0.1,application/json;q=0.9", media.Wanted()),
    ],
)
def test_accept_headers_are_parsed_not_compared(accept: str, wanted: media.Wanted) -> None:
    assert media.wanted(accept) == wanted


def test_nothing_acceptable_is_said() -> None:
    with pytest.raises(NotAcceptable):
        media.wanted("image/png")


def test_whatever_is_said_of_a_flag_means_yes_but_for_two_words() -> None:
    query = Query({name: (name,) for name in ("1", "t", "True", "yes", "", "0", "false", "FALSE")})
    assert all(query.flag(name) for name in ("1", "t", "True", "yes", ""))
    assert not any(query.flag(name) for name in ("0", "false", "FALSE", "absent"))


def test_versions_are_preferred_by_stability_then_number() -> None:
    names = ["v1alpha1", "foo", "v1", "v2beta1", "v10", "v1beta2", "v1beta1", "v2"]
    assert sorted(names, key=version_order) == [
        "v10",
        "v2",
        "v1",
        "v2beta1",
        "v1beta2",
        "v1beta1",
        "v1alpha1",
        "foo",
    ]
