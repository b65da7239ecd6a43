"""Custom kinds for scenarios: defined, and waited for until they are served.

Shell. In: a rig and a CustomResourceDefinition. Out: the definition, whose kind can be used from now on. Our server
serves a kind at once; a kube-apiserver establishes it first, and tells its own router a little later.
"""

from __future__ import annotations

from functools import partial

from graylane.model.meta import dig
from graylane.testing.api.objects import Obj
from graylane.testing.api.rig import Rig
from graylane.testing.waiting import eventually

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def established(api: Rig, crd: Obj) -> Obj:
    made: Obj = await api.create(CRDS, crd)
    spec = made["spec"]
    paths = [f"/apis/{spec['group']}/{version['name']}" for version in spec["versions"] if version["served"]]

    for path in paths:
        served: bool = await eventually(partial(_answers, api, path, spec["names"]["plural"]), timeout=30)
        assert served
    return made


async def _answers(api: Rig, path: str, plural: str) -> bool:
    """Objects can be listed, and discovery tells of the kind."""
    if (await api.call("GET", f"{path}/{plural}")).status != 200:
        return False
    told = await api.call("GET", path)
    return told.status == 200 and any(found["name"] == plural for found in dig(told.json, "resources", default=[]))
