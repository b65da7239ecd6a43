"""What keys mean.

Pure. In: what the screen shows, a key, the chain. Out: what it shows next, and what is to be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from graylane.chain.releases import Release
from graylane.chain.view import ChainView

HELP = "a approve   x abort   d diff   t trace   p pods   ? explain   q quit"
_BACK = "any key: back   ↑↓: scroll   q: quit"
_ENTER, _ERASE, _ESCAPE = ("\r", "\n"), ("\x7f", "\x08"), "\x1b"
_UP, _DOWN = ("\x1b[A", "\x1bOA", "k"), ("\x1b[B", "\x1bOB", "j")
_QUIT = ("q", "\x03", "\x04")


class Page(StrEnum):
    """What fills the screen."""

    CHAIN = "chain"
    DIFF = "diff"
    TRACE = "trace"
    PODS = "pods"
    EXPLAIN = "explain"


class Verb(StrEnum):
    APPROVE = "approve"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A line being typed: for which verb, among which releases."""

    verb: Verb
    names: tuple[str, ...]
    typed: str = ""


@dataclass(frozen=True, slots=True)
class Ui:
    """`note` is the last line above the keys: what came of the last one."""

    page: Page = Page.CHAIN
    prompt: Prompt | None = None
    note: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Do:
    """Carry out a verb on releases as they are shown: their revision and step are what the user decided on."""

    verb: Verb
    releases: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """Find out what a page shows."""

    page: Page


class Quit:
    """Leave."""


Action = Do | Open | Quit | None


def pressed(ui: Ui, key: str, view: ChainView) -> tuple[Ui, Action]:
    if key in _QUIT and (ui.prompt is None or key == "\x03"):
        return ui, Quit()
    if ui.prompt is not None:
        return _typed(ui, ui.prompt, key, view)
    if ui.page is not Page.CHAIN:
        return _turned(ui, key), None
    match key:
        case "a":
            return _approve(view)
        case "x":
            return _abort(view)
        case "d":
            return Ui(Page.DIFF), Open(Page.DIFF)
        case "t":
            return Ui(Page.TRACE), Open(Page.TRACE)
        case "p":
            return Ui(Page.PODS), None
        case "?" | "h":
            return Ui(Page.EXPLAIN), None
    return replace(ui, note=""), None


def footer(ui: Ui) -> str:
    if ui.prompt is None:
        return HELP if ui.page is Page.CHAIN else _BACK
    names = " ".join(ui.prompt.names)
    if ui.prompt.verb is Verb.ABORT:
        return f"type the name of the release to abort ({names}), Esc leaves it: {ui.prompt.typed}"
    return f"approve which ({names})? a name, or Enter for all; Esc leaves it: {ui.prompt.typed}"


def _approve(view: ChainView) -> tuple[Ui, Action]:
    waiting = tuple(release for release in view.releases if release.state == "StepPaused" and _is_releasing(release))
    if not waiting:
        return Ui(note="nothing waits for approval"), None
    if len(waiting) == 1:
        return Ui(), Do(Verb.APPROVE, waiting)
    return Ui(prompt=Prompt(Verb.APPROVE, tuple(release.name for release in waiting))), None


def _abort(view: ChainView) -> tuple[Ui, Action]:
    names = tuple(release.name for release in view.releases if _is_releasing(release))
    if not names:
        return Ui(note="nothing is being released"), None
    return Ui(prompt=Prompt(Verb.ABORT, names)), None


def _is_releasing(release: Release) -> bool:
    return release.phase == "Progressing"


def _typed(ui: Ui, prompt: Prompt, key: str, view: ChainView) -> tuple[Ui, Action]:
    if key == _ESCAPE:
        return Ui(note=f"nothing was {_past(prompt.verb)}"), None
    if key in _ERASE:
        return replace(ui, prompt=replace(prompt, typed=prompt.typed[:-1])), None
    if key in _ENTER:
        return _entered(prompt, view)
    return (replace(ui, prompt=replace(prompt, typed=prompt.typed + key)) if key.isprintable() else ui), None


def _entered(prompt: Prompt, view: ChainView) -> tuple[Ui, Action]:
    name = prompt.typed.strip()
    wanted: Sequence[str] = prompt.names if prompt.verb is Verb.APPROVE and not name else [name]
    chosen = tuple(release for release in view.releases if release.name in wanted and release.name in prompt.names)
    if not chosen:
        what = f"{name!r} is none of {', '.join(prompt.names)}" if name else "no name was typed"
        return Ui(note=f"{what}; nothing was {_past(prompt.verb)}"), None
    return Ui(), Do(prompt.verb, chosen)


def _past(verb: Verb) -> str:
    return {Verb.APPROVE: "approved", Verb.ABORT: "aborted"}[verb]


def _turned(ui: Ui, key: str) -> Ui:
    if key in _UP:
        return replace(ui, offset=max(0, ui.offset - 1))
    if key in _DOWN:
        return replace(ui, offset=ui.offset + 1)
    return Ui()


def split(text: str) -> list[str]:
    """Keys out of what a terminal sent at once: escape sequences stay whole."""
    found: list[str] = []
    while text:
        size = 1
        if text[0] == _ESCAPE and text[1:2] in ("[", "O"):
            ends = (index for index in range(2, len(text)) if "@" <= text[index] <= "~")
            size = next(ends, len(text) - 1) + 1
        found.append(text[:size])
        text = text[size:]
    return found
