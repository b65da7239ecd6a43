"""What a URL asks for, read as kube-apiserver's RequestInfo does.

Pure. In: a path. Out: `Target` for resource paths, None for every other path.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

_NAMESPACE_SUBRESOURCES = frozenset(("status", "finalize"))


@dataclass(frozen=True, slots=True)
class Target:
    """`GET /apis/apps/v1/namespaces/shop/deployments/web/scale` in parts; absent parts are "".

    `rest` is what follows the subresource, e.g. the path behind `…/proxy/`.
    """

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""

    @property
    def path(self) -> str:
        """Up to the version: enough to know whose it is."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def parse(path: str) -> Target | None:
    """None for `/version`, discovery documents (`/apis/apps/v1`) and other paths that name no resource."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        return _resource("", parts[1], parts[2:])
    if parts[0] == "apis" and len(parts) > 3:
        return _resource(parts[1], parts[2], parts[3:])
    return None


def _resource(group: str, version: str, parts: list[str]) -> Target:
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        if len(parts) == 2 or (len(parts) == 3 and parts[2] in _NAMESPACE_SUBRESOURCES):
            name, *tail = map(unquote, parts[1:])
            return Target(group, version, "namespaces", name, name, tail[0] if tail else "")
        namespace, parts = unquote(parts[1]), parts[2:]
    plural, name, subresource, *rest = [*map(unquote, parts[:3]), "", ""][:3] + parts[3:]
    return Target(group, version, plural, namespace, name, subresource, "/".join(rest))
