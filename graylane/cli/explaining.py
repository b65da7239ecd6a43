"""Reads a cluster once and prints what `mesh.explain` makes of it.

Shell. In: a question, a scope. Out: text or a document on stdout; `CheckFailed` when the request is not answered.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.cli.connect import connect
from graylane.cli.exits import CheckFailed
from graylane.cli.explain_text import lines, refused_line
from graylane.cli.options import Format, Scope
from graylane.cli.output import dump, emit
from graylane.cli.reading import read
from graylane.mesh.explain.document import document
from graylane.mesh.explain.reading import KINDS, inputs_of, view_of
from graylane.mesh.explain.walk import Asked, explain
from graylane.model.meta import Key


@dataclass(frozen=True, slots=True)
class Question:
    """A request as typed; `pod` is NAME, pod/NAME or NAMESPACE/NAME, "" for the gateway."""

    headers: tuple[tuple[str, str], ...] = ()
    path: str = "/"
    host: str = ""
    method: str = "GET"
    pod: str = ""
    port: int = 0

    def asked(self, namespace: str) -> Asked:
        return Asked(self.host, self.path, self.method, self.headers, self._caller(namespace), self.port)

    def _caller(self, namespace: str) -> Key | None:
        space, slash, name = self.pod.rpartition("/")
        if not name:
            return None
        return Key(space if slash and space not in ("pod", "pods", "po") else namespace, name)


async def show(question: Question, scope: Scope, form: Format) -> None:
    async with connect(scope) as (client, namespace):
        lists = await read(client, KINDS)  # of all namespaces, because routes reach across them
    explained = explain(view_of(lists), inputs_of(lists), question.asked(namespace))
    if form is Format.TEXT:
        emit(lines(explained))
    else:
        print(dump(document(explained), form), flush=True)
    refusals = list(explained.refusals())
    if refusals:
        raise CheckFailed("; ".join(map(refused_line, refusals)))
