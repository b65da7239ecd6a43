"""What is wrong with a command line, in one line that says what to type.

Pure. In: what typer found, whichever of its releases. Out: a line, or None for what is no mistake of the user's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graylane.chain.likeness import like


def line_of(error: Exception) -> str | None:
    """The errors have no class that all releases of typer agree on; their parts have the same names in all."""
    if not hasattr(error, "format_message"):
        return None
    context: Any = getattr(error, "ctx", None)
    path = str(context.command_path) if context is not None else "graylane"
    verb = path.partition(" ")[2]
    if type(error).__name__ == "NoSuchOption":
        option = str(getattr(error, "option_name", ""))
        lack = f"{verb} has no option" if verb else "there is no option"
        return f"{lack} {option}{_instead(option, _options(context), path)}"
    message = str(error.format_message()).replace("Value error, ", "").rstrip(".")
    return f"{verb}: " * bool(verb) + message[:1].lower() + message[1:] + f"; see `{path} --help`"


def no_verb(word: str, verbs: Iterable[str]) -> str:
    return f"there is no verb {word}{_instead(word, verbs, 'graylane')}"


def _instead(word: str, known: Iterable[str], path: str) -> str:
    found = like(word, known)
    return f"; did you mean {' or '.join(found)}?" if found else f"; see `{path} --help`"


def _options(context: Any) -> list[str]:
    return [name for each in context.command.get_params(context) for name in each.opts if name.startswith("--")]
