"""How much a resource quantity is: `250m`, `1Gi`, `2e3`.

Pure. In: a quantity that its schema has already accepted. Out: an exact number, for comparison.
"""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?[0-9.]+)(.*)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def amount(value: str | int | float) -> Decimal:
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        return Decimal(0)
    number, suffix = Decimal(match[1]), match[2]
    if suffix in _BINARY:
        return number * (1 << _BINARY[suffix])
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(int(suffix[1:]))  # an exponent, `e3` or `E-2`
