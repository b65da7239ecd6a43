"""`graylane explain`: where one request would go now, hop by hop, rule by rule.

Shell. In: a request as the user describes it. Out: the way it would take, as text or a document. Exit code 0 when it is
answered, 1 when it, or a share of such requests, would be refused; the last line on stderr then says where.
"""

from __future__ import annotations

import re
from typing import Annotated

import typer

from graylane.cli.options import Context, Format, Kubeconfig, Namespace, Output, Scope

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def command(
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="NAME=VALUE", help="A header of the request; may be repeated."),
    ] = None,
    path: Annotated[str, typer.Option(metavar="PATH", help="Its path, with the query.")] = "/",
    host: Annotated[
        str,
        typer.Option(
            metavar="HOST", help="Its Host; default: the gateway's address, or what the pod calls.", show_default=False
        ),
    ] = "",
    method: Annotated[str, typer.Option(metavar="METHOD", help="Its method.")] = "GET",
    from_: Annotated[
        str,
        typer.Option(
            "--from", metavar="POD", help="The pod that sends it; default: it comes to the gateway.", show_default=False
        ),
    ] = "",
    port: Annotated[
        int, typer.Option(metavar="PORT", help="Its port; default: the only one, or 80.", show_default=False)
    ] = 0,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
    output: Output = Format.TEXT,
) -> None:
    """Show where a request would go now: which rule decides at each hop, and why those before it do not."""
    from graylane.cli.connect import run_async
    from graylane.cli.explaining import Question, show

    question = Question(tuple(map(header_of, header or ())), path_of(path), host, method.upper(), from_, port)
    run_async(show(question, Scope(kubeconfig, context, namespace), output))


def header_of(text: str) -> tuple[str, str]:
    """`name=value`, and curl's `name: value`."""
    from graylane.errors import UserError

    found = re.fullmatch(r"([^=:]+)(?:=|:\s*)(.*)", text, re.DOTALL)
    if found is None or not _NAME.fullmatch(found[1]):
        raise UserError(f"--header {text}: not NAME=VALUE; type e.g. --header my-request-id=canary")
    return found[1].lower(), found[2].strip(" \t")  # what is around a value belongs to none in HTTP


def path_of(text: str) -> str:
    """With a `/` in front; `//x` is a path of its own."""
    return text if text.startswith("/") else f"/{text}"
