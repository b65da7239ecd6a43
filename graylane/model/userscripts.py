"""Where users put scripts of their own for routes.

Shell (reads the environment). Out: the ConfigMap's key, and the names of the entries in its data.
"""

from __future__ import annotations

import os

from graylane.model.meta import Key

_DEFAULT_NAMESPACE = "kruise-rollout"


def config_map_key() -> Key:
    """In the controller's own namespace, as under OpenKruise."""
    return Key(os.environ.get("POD_NAMESPACE") or _DEFAULT_NAMESPACE, "kruise-rollout-configuration")


def data_key(kind: str, group: str) -> str:
    """The ConfigMap's data key, e.g. `lua.traffic.routing.ApisixRoute.apisix.apache.org`."""
    return f"lua.traffic.routing.{kind}.{group}"
