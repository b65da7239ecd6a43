"""Reads fields of a wire object, remembering what is wrong with each instead of stopping at the first.

Pure. In: a dict from the API. Out: typed values, and problems as kube-apiserver words them ("path: what: why").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graylane.errors import Invalid
from graylane.model.meta import Obj


@dataclass(frozen=True, slots=True)
class Reader:
    """A position in the object. Children share `problems` with their parent."""

    value: Any
    path: str = ""
    problems: list[str] = field(default_factory=list)

    def at(self, name: str) -> Reader:
        """The object under `name`; an absent one reads as empty."""
        value = self._read(name, dict, "object")
        return Reader(value if value is not None else {}, self._child(name), self.problems)

    def has(self, name: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(name) is not None

    def items(self, name: str) -> Iterator[Reader]:
        """The entries of the list under `name`."""
        for index, value in enumerate(self._read(name, list, "array") or ()):
            path = f"{self._child(name)}[{index}]"
            if not isinstance(value, dict):
                self.problems.append(f"{path}: Invalid value: {value!r}: must be an object")
                continue
            yield Reader(value, path, self.problems)

    def text(self, name: str) -> str:
        return self._read(name, str, "string") or ""

    def flag(self, name: str) -> bool:
        return bool(self._read(name, bool, "boolean"))

    def number(self, name: str) -> int | None:
        """An integer; JSON booleans are not numbers although Python thinks so."""
        value = self._get(name)
        if isinstance(value, bool) or (value is not None and not isinstance(value, int)):
            self.wrong(name, value, "must be an integer")
            return None
        return value

    def count(self, name: str) -> int | str | None:
        """An int-or-percent, not yet checked for its range."""
        value = self._get(name)
        if isinstance(value, bool) or (value is not None and not isinstance(value, int | str)):
            self.wrong(name, value, "must be an integer or a percentage")
            return None
        return value

    def texts(self, name: str) -> dict[str, str]:
        """A map of strings."""
        found: Obj = self._read(name, dict, "object") or {}
        for key, value in found.items():
            if not isinstance(value, str):
                self.problems.append(f"{self._child(name)}[{key}]: Invalid value: {value!r}: must be a string")
        return {key: value for key, value in found.items() if isinstance(value, str)}

    def wrong(self, name: str, value: Any, why: str) -> None:
        self.problems.append(f"{self._child(name)}: Invalid value: {value!r}: {why}")

    def missing(self, name: str, why: str) -> None:
        self.problems.append(f"{self._child(name)}: Required value: {why}")

    def unsupported(self, name: str, why: str) -> None:
        """A field OpenKruise knows and Graylane does not act on yet: refused rather than ignored."""
        self.problems.append(f"{self._child(name)}: Forbidden: {why}")

    def finish(self) -> None:
        """Raises `Invalid` naming every problem, if there is one."""
        if self.problems:
            raise Invalid("; ".join(self.problems))

    def _get(self, name: str) -> Any:
        return self.value.get(name) if isinstance(self.value, dict) else None

    def _read(self, name: str, kind: type, word: str) -> Any:
        value = self._get(name)
        if value is not None and not isinstance(value, kind):
            self.wrong(name, value, f"must be a JSON {word}")
            return None
        return value

    def _child(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
