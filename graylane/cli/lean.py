"""What a verb that is over in a moment does without.

Shell. aiohttp reads this machine's certificate authorities twice when it is imported, for clients that name none; 40 ms
of 300. Our client names its own, or asks for the machine's, so the two readings are left out. Only for verbs: in their
process nobody else uses aiohttp. To import this module before aiohttp is enough.
"""

from __future__ import annotations

import ssl
import sys


def _import_aiohttp() -> None:
    if "aiohttp" in sys.modules:
        return
    usual, given = ssl.SSLContext.load_default_certs, ssl.SSLContext.set_default_verify_paths
    ssl.SSLContext.load_default_certs = _nothing  # type: ignore[method-assign, assignment]
    ssl.SSLContext.set_default_verify_paths = _nothing  # type: ignore[method-assign, assignment]
    try:
        import aiohttp  # noqa: F401
    finally:
        ssl.SSLContext.load_default_certs = usual  # type: ignore[method-assign]
        ssl.SSLContext.set_default_verify_paths = given  # type: ignore[method-assign]


def _nothing(*_: object) -> None:
    pass


_import_aiohttp()
