"""Read RE2 patterns, which is what Kubernetes schemas hold, with Python's `re`.

Pure. In: a pattern in RE2's syntax. Out: a compiled Python pattern with the same meaning, or `UserError` for what RE2
refuses (look-around, back-references). Python differs in `$`, `\\z`, `\\Q…\\E` and `[[:alpha:]]`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from graylane.errors import UserError

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_PLAIN = re.compile(
    r"""(?P<quoted>\\Q.*?(?:\\E|$)) | (?P<end>\\z) | (?P<escape>\\.) | (?P<dollar>\$)
      | (?P<class>\[\^?\]?) | (?P<look>\(\?(?:<?[=!]|P=)) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_IN_CLASS = re.compile(
    r"(?P<escape>\\.) | (?P<posix>\[:\^?[a-z]+:\]) | (?P<close>\]) | (?P<bracket>\[) | (?P<other>.)",
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """`re.search` with the result decides; anchors are the pattern's own business."""
    try:
        return re.compile(translate(pattern), re.ASCII)
    except re.error as error:
        raise UserError(f"pattern {pattern!r} is not a regular expression: {error}") from error


def translate(pattern: str) -> str:
    out: list[str] = []
    in_class = False
    here = 0
    while match := (_IN_CLASS if in_class else _PLAIN).match(pattern, here):
        kind, text = match.lastgroup or "other", match[0]
        out.append(_class_token(kind, text) if in_class else _plain_token(kind, text, pattern))
        in_class = kind != "close" if in_class else kind == "class"
        here = match.end()
    return "".join(out)


def _plain_token(kind: str, text: str, pattern: str) -> str:
    if kind == "look" or (kind == "escape" and text[1] in "123456789"):
        raise UserError(f"pattern {pattern!r} uses {text!r}, which RE2 does not have")
    if kind == "quoted":
        return re.escape(text[2:].removesuffix("\\E"))
    # Python's `$` also matches before a final newline; RE2's does not.
    return r"\Z" if kind in ("end", "dollar") else text


def _class_token(kind: str, text: str) -> str:
    if kind == "posix":
        return _POSIX.get(text.strip("[:]"), text)
    # A `[` inside a class is itself; Python warns about it unless escaped.
    return r"\[" if kind == "bracket" else text
