"""The image catalogue: which command stands for which image.

Pure. In: catalogue text (YAML) and an image reference. Out: an `Image`, or None when nobody has mapped it.

    images:
    - match: "registry.example.com/shop/web:*"     # * matches anything; the first entry that matches wins
      command: ["{python}", "-m", "shop.web"]      # what the image's ENTRYPOINT would be
      args: ["--verbose"]                          # its CMD, optional
      env: {PYTHONPATH: /src/shop}                 # its ENV, optional
      workingDir: /src/shop                        # optional

`{python}` is the interpreter Graylane runs on, `{graylane}` the directory that holds its package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import yaml

from graylane.errors import UserError

_FIELDS = frozenset({"match", "command", "args", "env", "workingDir"})


@dataclass(frozen=True, slots=True)
class Image:
    """One entry. `match` is a pattern over full references, `name:tag` as written in the pod."""

    match: str
    command: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Entries in order of precedence."""

    images: tuple[Image, ...] = ()

    def find(self, reference: str) -> Image | None:
        """The first entry for `reference`; one without tag or digest is `:latest`."""
        full = with_tag(reference)
        return next((image for image in self.images if fnmatchcase(full, with_tag(image.match))), None)

    def __add__(self, other: Catalogue) -> Catalogue:
        return Catalogue(self.images + other.images)


def parse_catalogue(text: str, origin: str, placeholders: Mapping[str, str]) -> Catalogue:
    """Read one file's text. Raises `UserError` naming `origin` and the entry."""
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{origin}: not YAML: {' '.join(str(error).split())}") from error
    entries = document.get("images") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise UserError(f"{origin}: must hold a list named images")
    return Catalogue(tuple(_image(entry, f"{origin}: images[{n}]", placeholders) for n, entry in enumerate(entries)))


def unknown_image(reference: str, container: str, mapping_file: str) -> str:
    """What to tell the user of a pod whose image nobody has mapped: exactly what to write, and where, in one line."""
    entry = f'{{match: "{reference}", command: ["program", "argument"]}}'
    return (
        f"image {reference!r} of container {container!r} is in no image catalogue: pods are processes here, so say "
        f"which command stands for it: add - {entry} to the list images: in {mapping_file}, "
        "or give the container a command"
    )


def with_tag(reference: str) -> str:
    last = reference.rpartition("/")[2]
    return reference if ":" in last or "@" in last or last.endswith("*") else f"{reference}:latest"


def _image(entry: Any, place: str, placeholders: Mapping[str, str]) -> Image:
    if not isinstance(entry, dict) or not isinstance(entry.get("match"), str):
        raise UserError(f"{place}: must be a mapping with a match")
    if unknown := sorted(set(entry) - _FIELDS):
        raise UserError(f"{place}: unknown field {unknown[0]}; known are {', '.join(sorted(_FIELDS))}")
    env = entry.get("env") or {}
    if not isinstance(env, dict):
        raise UserError(f"{place}: env must be a mapping")
    return Image(
        match=entry["match"],
        command=_words(entry.get("command"), f"{place}: command", placeholders),
        args=_words(entry.get("args") or [], f"{place}: args", placeholders),
        env={str(name): _filled(str(value), placeholders) for name, value in env.items()},
        working_dir=_filled(str(entry.get("workingDir") or ""), placeholders),
    )


def _words(words: Any, place: str, placeholders: Mapping[str, str]) -> tuple[str, ...]:
    if not isinstance(words, Sequence) or isinstance(words, str):
        raise UserError(f'{place} must be a list of words, e.g. ["python3", "app.py"]')
    return tuple(_filled(str(word), placeholders) for word in words)


def _filled(text: str, placeholders: Mapping[str, str]) -> str:
    for name, value in placeholders.items():
        text = text.replace("{" + name + "}", value)
    return text
