"""Secrets: `stringData` is a way of writing `data`.

Pure. In: secrets as clients write them. Out: secrets as they are stored.
"""

from __future__ import annotations

import base64

from graylane.model.meta import Obj


def encoded(secret: Obj) -> Obj:
    """`stringData` moved into `data`, base64, winning over entries of the same key."""
    written = secret.get("stringData")
    if not isinstance(written, dict):
        return secret
    data = {key: base64.b64encode(str(value).encode()).decode() for key, value in written.items()}
    kept = {name: value for name, value in secret.items() if name != "stringData"}
    return {**kept, "data": {**(secret.get("data") or {}), **data}} if data else kept
