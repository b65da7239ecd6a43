"""Short stable hashes of objects, written in Kubernetes' safe alphabet.

Pure. In: any JSON value. Out: text without vowels, so that no word appears in a name by accident.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def short_hash(value: Any, length: int = 10) -> str:
    """Equal JSON values (key order aside) give equal text; `length` ≤ 16 characters of the safe alphabet."""
    digest = hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()
    return safe_encode(int.from_bytes(digest, "big"), length)


def safe_encode(number: int, length: int) -> str:
    letters: list[str] = []
    for _ in range(length):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)
