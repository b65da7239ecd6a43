"""Read RE2 patterns, which is what Istio's rules and Kubernetes' schemas hold, with Python's `re`.

Pure. In: a pattern in RE2's syntax. Out: a compiled Python pattern that matches the same texts, or `UserError` for what
RE2 refuses (look-around, back-references, possessive repetition…). Python differs in `$`, `\\z`, `\\Q…\\E`,
`[[:alpha:]]`, `x(?i)y`, `(?<name>…)` and `{,3}`. Classes of Unicode (`\\pL`) it does not have.
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
_MOST_REPEATED = 1000
_ESCAPES = r"""(?P<code>\\x\{[0-9A-Fa-f]+\}) | (?P<known>\\[abfnrtvdDsSwWABx]) | (?P<unicode>\\[pP])
      | (?P<lacking>\\[1-9A-Za-z]) | (?P<escape>\\.)"""
_PLAIN = re.compile(
    rf"""(?P<quoted>\\Q.*?(?:\\E|$)) | (?P<end>\\z) | {_ESCAPES} | (?P<dollar>\$)
      | (?P<class>\[\^?\]?) | (?P<named>\(\?P?<(?=\w)) | (?P<flags>\(\?[imsU]*-?[imsU]*[:)])
      | (?P<look>\(\?(?:<?[=!]|P=|.)) | (?P<possessive>(?:[*+?]|\{{\d+(?:,\d*)?\}})\+)
      | (?P<repeat>\{{\d+(?:,\d*)?\}}) | (?P<brace>\{{) | (?P<open>\() | (?P<close>\)) | (?P<or>\|) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_IN_CLASS = re.compile(
    rf"{_ESCAPES} | (?P<posix>\[:\^?\w+:\]) | (?P<close>\]) | (?P<bracket>\[) | (?P<other>.)",
    re.VERBOSE | re.DOTALL,
)


class NotInPython(UserError):
    """RE2 knows it, and Python does not."""


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """`re.search` with the result decides; anchors are the pattern's own business."""
    try:
        return re.compile(translate(pattern), re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise UserError(f"pattern {pattern!r} is not a regular expression: {error}") from error


def translate(pattern: str) -> str:
    out: list[str] = []
    in_class = False
    scopes: list[list[str]] = [[]]  # of each open group, the flags that hold from somewhere in it to its end
    here = 0
    while match := (_IN_CLASS if in_class else _PLAIN).match(pattern, here):
        kind, text = match.lastgroup or "other", match[0]
        if kind in ("lacking", "look", "possessive") or (kind == "repeat" and _size(text) > _MOST_REPEATED):
            raise UserError(f"pattern {pattern!r} uses {text!r}, which RE2 does not have")
        if kind == "unicode":
            raise NotInPython(f"pattern {pattern!r} uses a class of Unicode, which is not known here")
        out.append(_class_token(kind, text, pattern) if in_class else _plain_token(kind, text, scopes))
        in_class = kind != "close" if in_class else kind == "class"
        here = match.end()
    return "".join(out) + ")" * len(scopes[0])


def _size(repeat: str) -> int:
    return max(int(number) for number in repeat.strip("{}").split(",") if number)


def _plain_token(kind: str, text: str, scopes: list[list[str]]) -> str:
    match kind:
        case "quoted":
            return re.escape(text[2:].removesuffix("\\E"))
        case "end" | "dollar":  # Python's `$` also matches before a final newline; RE2's does not.
            return r"\Z"
        case "code":
            return re.escape(chr(int(text[3:-1], 16)))
        case "brace":
            return r"\{"
        case "flags":
            return _flags(text, scopes)
        case "named":
            scopes.append([])
            return "(?P<"
        case "open":
            scopes.append([])
        case "close" if len(scopes) > 1:
            return ")" * len(scopes.pop()) + ")"
        case "or":
            return ")" * len(scopes[-1]) + "|" + "".join(scopes[-1])
    return text


def _flags(text: str, scopes: list[list[str]]) -> str:
    """`(?i)` holds to the end of its group, wherever it stands; greed (`U`) does not decide whether a text matches."""
    on, _, off = text[2:-1].replace("U", "").partition("-")
    group = f"(?{on}{'-' if off else ''}{off}:"
    if text.endswith(":"):
        scopes.append([])
        return group
    if not on and not off:
        return ""
    scopes[-1].append(group)
    return group


def _class_token(kind: str, text: str, pattern: str) -> str:
    if kind == "posix":
        name = text.strip("[:^]")
        if name not in _POSIX:
            raise UserError(f"pattern {pattern!r} uses {text!r}, which RE2 does not have")
        return _all_but(_POSIX[name]) if "^" in text else _POSIX[name]
    if kind == "code":
        return re.escape(chr(int(text[3:-1], 16)))
    # A `[` inside a class is itself; Python warns about it unless escaped.
    return r"\[" if kind == "bracket" else text


def _all_but(members: str) -> str:
    others = [f"\\x{code:02x}" for code in range(128) if not re.match(f"[{members}]", chr(code))]
    return "".join(others) + r"\x80-\U0010ffff"
