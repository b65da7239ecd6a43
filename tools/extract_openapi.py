"""Build the schema file that the embedded API server ships, from what a kube-apiserver says of itself.

Shell. In: a directory with `kube-apiserver` and `etcd` (envtest's convention, `KUBEBUILDER_ASSETS`). Out:
`graylane/cluster/apiserver/schema/data/kubernetes.json.gz`, the stable groups only, in the shape kube-apiserver serves
under `/openapi/v3`, with the defaults that tell which fields Go always writes. Run it again to move to another minor:
`python tools/extract_openapi.py DIRECTORY`.
"""

from __future__ import annotations

import gzip
import json
import re
import ssl
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from graylane.testing.api.control_plane import ControlPlane, started

OUTPUT = Path(__file__).parent.parent / "graylane/cluster/apiserver/schema/data/kubernetes.json.gz"

# Alpha and beta groups are not served.
UNSTABLE = re.compile(r"\.v\d+(alpha|beta)\d+\.")
KEPT = ("x-kubernetes-", "format", "required", "default", "enum")

INT_OR_STRING = {"type": "string", "format": "int-or-string"}
QUANTITY = {"type": "string", "format": "quantity"}


def asked(plane: ControlPlane, path: str) -> Any:
    context = ssl.create_default_context(cadata=plane.ca.decode())
    request = urllib.request.Request(plane.url + path, headers={"Authorization": "Bearer conformance"})
    with urllib.request.urlopen(request, context=context) as answer:
        return json.load(answer)


def definitions(plane: ControlPlane) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for document in asked(plane, "/openapi/v3")["paths"].values():
        found |= asked(plane, document["serverRelativeURL"]).get("components", {}).get("schemas", {})
    return {name: schema for name, schema in found.items() if not UNSTABLE.search(name)}


def convert(schema: dict[str, Any]) -> dict[str, Any]:
    """One schema without what the server does not use: plain types, references, defaults, how lists merge."""
    out = {key: value for key, value in schema.items() if key.startswith(KEPT)}
    out.pop("x-kubernetes-unions", None)
    for key in ("description", "type", "$ref", "allOf"):
        if key in schema:
            out[key] = schema[key]
    if "properties" in schema:
        out["properties"] = {name: convert(child) for name, child in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            out[key] = element(convert(schema[key]))
    return out


def element(schema: dict[str, Any]) -> dict[str, Any]:
    """Elements are there or not; a default says nothing about them."""
    rest = {key: value for key, value in schema.items() if key != "default"}
    return rest["allOf"][0] if list(rest) == ["allOf"] else rest


def extract(plane: ControlPlane) -> dict[str, Any]:
    version = asked(plane, "/version")
    found = {name: convert(schema) for name, schema in definitions(plane).items()}
    found["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] |= INT_OR_STRING
    found["io.k8s.apimachinery.pkg.api.resource.Quantity"] |= QUANTITY
    for schema in found.values():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        if len(kinds) > 1:  # DeleteOptions and WatchEvent are listed under every group that ever existed
            schema["x-kubernetes-group-version-kind"] = [kind for kind in kinds if "beta" not in kind["version"]]
    return {"version": f"{version['major']}.{version['minor']}", "schemas": found}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/extract_openapi.py DIRECTORY (with kube-apiserver and etcd in it)")
    with tempfile.TemporaryDirectory() as directory, started(Path(sys.argv[1]), Path(directory)) as plane:
        found = extract(plane)
    text = json.dumps(found, separators=(",", ":"), sort_keys=True)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    # mtime 0 and no file name: the same input gives the same bytes, so the file only changes with its content.
    OUTPUT.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    size = f"{len(text) // 1024} KB, {OUTPUT.stat().st_size // 1024} KB compressed"
    print(f"{OUTPUT.name}: Kubernetes {found['version']}, {size}")


if __name__ == "__main__":
    main()
