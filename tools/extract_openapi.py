"""Build the schema file that the embedded API server ships, from the `kubernetes-validate` package.

Shell. In: that package's definitions for one Kubernetes minor (a development dependency, 108 MB installed). Out:
`graylane/cluster/apiserver/schema/data/kubernetes.json.gz`, the stable groups only, in the shape kube-apiserver serves
under `/openapi/v3`. Run it again to move to another minor: `python tools/extract_openapi.py 1.36`.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent.parent / "graylane/cluster/apiserver/schema/data/kubernetes.json.gz"
REF = "#/components/schemas/"

# Alpha and beta groups are not served.
UNSTABLE = re.compile(r"\.v\d+(alpha|beta)\d+\.")

INT_OR_STRING = {"type": "string", "format": "int-or-string"}
QUANTITY = {"type": "string", "format": "quantity"}


def definitions(minor: str) -> dict[str, Any]:
    spec = find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        sys.exit("kubernetes-validate is not installed; run: pip install kubernetes-validate")
    path = Path(spec.origin).parent / f"kubernetes-json-schema/v{minor}.0-local/_definitions.json"
    if not path.exists():
        sys.exit(f"no schemas for Kubernetes {minor} in {path.parent.parent}")
    found: dict[str, Any] = json.loads(path.read_text())["$defs"]
    return found


def wanted(name: str) -> bool:
    return not UNSTABLE.search(name)


def convert(schema: dict[str, Any]) -> dict[str, Any]:
    """One schema as kube-apiserver would serve it: plain types, component references, references inside `allOf`."""
    out = {key: value for key, value in schema.items() if key.startswith(("x-kubernetes-", "format", "required"))}
    out.pop("x-kubernetes-unions", None)
    if description := schema.get("description"):
        out["description"] = description
    if reference := schema.get("$ref"):
        target = {"$ref": REF + reference.removeprefix("#/$defs/")}
        return {**out, "allOf": [target]} if out else target
    if kind := schema.get("type"):
        out["type"] = kind[0] if isinstance(kind, list) else kind
    if "properties" in schema:
        out["properties"] = {name: convert(child) for name, child in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            out[key] = convert(schema[key])
    return out


def extract(minor: str) -> dict[str, Any]:
    found = {name: convert(schema) for name, schema in definitions(minor).items() if wanted(name)}
    found["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] |= INT_OR_STRING
    found["io.k8s.apimachinery.pkg.api.resource.Quantity"] |= QUANTITY
    for schema in found.values():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        if len(kinds) > 1:  # DeleteOptions and WatchEvent are listed under every group that ever existed
            schema["x-kubernetes-group-version-kind"] = [kind for kind in kinds if "beta" not in kind["version"]]
    return {"version": minor, "schemas": found}


def main() -> None:
    minor = sys.argv[1] if len(sys.argv) > 1 else "1.36"
    text = json.dumps(extract(minor), separators=(",", ":"), sort_keys=True)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    # mtime 0 and no file name: the same input gives the same bytes, so the file only changes with its content.
    OUTPUT.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{OUTPUT.name}: Kubernetes {minor}, {len(text) // 1024} KB, {OUTPUT.stat().st_size // 1024} KB compressed")


if __name__ == "__main__":
    main()
