"""Which programs do not use a proxy they are told of, and what makes them.

Pure. In: a container's command line and environment. Out: advice for the pod's events, "" where none is needed. Only
where pods share the machine's network: in one of their own nobody needs a proxy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

_ELSE = "or start the cluster with --pod-network=netns"
_NODE = frozenset(("node", "nodejs", "npm", "npx", "yarn", "pnpm"))


def variables() -> dict[str, str]:
    """Node.js 24 and later do as `http_proxy` says when this is set; nobody else looks at it."""
    return {"NODE_USE_ENV_PROXY": "1"}


def advice(words: Sequence[str], env: Mapping[str, str]) -> str:
    program = PurePath(words[0]).name if words else ""
    if program in _NODE:
        return f"Node.js before version 24 ignores http_proxy: use a proxy agent in the program, {_ELSE}"
    if program == "java" and not _has_java_proxy(words, env):
        host, _, port = env.get("http_proxy", "").removeprefix("http://").partition(":")
        flags = f"-Dhttp.proxyHost={host} -Dhttp.proxyPort={port}"
        return f'java ignores http_proxy: set JAVA_TOOL_OPTIONS to "{flags}" ($(POD_IP) is the host), {_ELSE}'
    return ""


def _has_java_proxy(words: Sequence[str], env: Mapping[str, str]) -> bool:
    said = (*words, *(env.get(name, "") for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")))
    return any("-Dhttp.proxyHost=" in each or "-Djava.net.useSystemProxies=true" in each for each in said)
