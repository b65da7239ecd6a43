"""Argo CD as far as it runs our scripts: Lua 5.1 with its basic functions and tables, and no library beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from lupa import lua51

from graylane.model.meta import Obj
from graylane.model.patches import merge_patch

_CONFIG = Path(__file__).parents[3] / "examples" / "argo-cd" / "argocd-cm.yaml"
_DATA: dict[str, str] = yaml.safe_load(_CONFIG.read_text())["data"]
_GROUP = "rollouts.kruise.io"
_REMOVED = ("string", "math", "io", "os", "debug", "package", "require", "coroutine", "python", "dofile", "loadfile")


def health(obj: Obj, kind: str = "Rollout") -> tuple[str, str]:
    """Status and message."""
    found = _run(_DATA[f"resource.customizations.health.{_GROUP}_{kind}"], obj)
    return found["status"], found["message"]


def actions(obj: Obj) -> dict[str, bool]:
    """Each action, and whether it may be taken now."""
    return {name: not said["disabled"] for name, said in _run(_definitions()["discovery.lua"], obj).items()}


def act(name: str, obj: Obj) -> Obj:
    """The object as the action leaves it."""
    script = next(each["action.lua"] for each in _definitions()["definitions"] if each["name"] == name)
    return merge_patch(obj, _run(script, obj))


def _definitions() -> dict[str, Any]:
    return yaml.safe_load(_DATA[f"resource.customizations.actions.{_GROUP}_Rollout"])  # type: ignore[no-any-return]


def _run(script: str, obj: Obj) -> Any:
    lua = lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    lua.execute('getmetatable("").__index = nil')
    names = lua.globals()
    for name in _REMOVED:
        names[name] = None
    names["obj"] = _to_lua(lua, obj)
    return _from_lua(lua.execute(script))


def _to_lua(lua: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({name: _to_lua(lua, inner) for name, inner in value.items() if inner is not None})
    if isinstance(value, list):
        return lua.table_from([_to_lua(lua, inner) for inner in value])
    return value


def _from_lua(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        return value
    items = {name: _from_lua(inner) for name, inner in value.items()}
    return list(items.values()) if items and all(isinstance(name, int) for name in items) else items
