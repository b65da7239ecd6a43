"""Finds the Lua script for a kind: the user's ConfigMap first, then the ones we ship.

Shell (reads package files, once each). In: the ConfigMap, a kind and group. Out: a `Script`, or None. OpenKruise looks
in the other order, so that its VirtualService and DestinationRule scripts cannot be replaced; here users may.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from graylane.model.meta import Obj, dig
from graylane.model.userscripts import config_map_key as config_map_key
from graylane.model.userscripts import data_key as data_key
from graylane.trafficrouting.lua.script import Script

_SHIPPED = Path(__file__).with_name("scripts")
_SAME = {"higress": "nginx"}  # Higress reads nginx's annotations


def ingress_key(class_type: str) -> str:
    """The ConfigMap's data key for a class of Ingress controllers, e.g. `lua.traffic.routing.ingress.nginx`."""
    return f"lua.traffic.routing.ingress.{class_type}"


def find(config_map: Obj | None, kind: str, group: str) -> Script | None:
    """The script for `kind`; errors will call it by the name given here."""
    return _from(config_map, data_key(kind, group)) or shipped(kind, group)


def find_ingress(config_map: Obj | None, class_type: str) -> Script | None:
    """The script for a class of Ingress controllers."""
    return _from(config_map, ingress_key(class_type)) or shipped(_SAME.get(class_type, class_type), "ingress")


def _from(config_map: Obj | None, key: str) -> Script | None:
    source = dig(config_map, "data", key)
    return None if source is None else Script(f"ConfigMap {config_map_key()} {key}", str(source))


@cache
def shipped(kind: str, group: str) -> Script | None:
    """Ours, from `scripts/<group>/<Kind>/trafficRouting.lua`; Ingress classes are kinds of the group `ingress`."""
    name = f"{group}/{kind}/trafficRouting.lua"
    path = _SHIPPED / name
    if ".." in name or not path.is_file():
        return None
    return Script(name, path.read_text(encoding="utf-8"))
