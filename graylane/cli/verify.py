"""`graylane verify`: sends real requests, dyed and plain, and compares who served them with what the rules say.

Shell. In: what dyes a request; default: what the namespace's TrafficRoutings say. Out: a table of the hops, as text or
a document. Exit code 0 when all that was seen agrees with what was predicted, else 1; the last line on stderr says
where it does not, and names the hop that loses the header.
"""

from __future__ import annotations

from typing import Annotated

import typer

from graylane.cli.options import Context, Format, Kubeconfig, Namespace, Output, Scope


def command(
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            "-H",
            metavar="NAME=VALUE",
            help="What dyes a request; may be repeated. Default: what the TrafficRoutings match.",
        ),
    ] = None,
    path: Annotated[str, typer.Option(metavar="PATH", help="The path, with the query.")] = "/",
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The Host; default: the gateway's address.", show_default=False)
    ] = "",
    port: Annotated[int, typer.Option(metavar="PORT", help="The gateway's port; default: 80.", show_default=False)] = 0,
    count: Annotated[
        int, typer.Option("--count", "-c", metavar="N", min=1, max=500, help="How many of each kind to send.")
    ] = 10,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
    output: Output = Format.TEXT,
) -> None:
    """Send real requests and compare who served them with what was predicted, hop by hop."""
    from graylane.cli.connect import run_async
    from graylane.cli.explain import header_of, path_of
    from graylane.cli.verifying import Trial, verify

    trial = Trial(tuple(map(header_of, header or ())), path_of(path), host, port, count)
    run_async(verify(trial, Scope(kubeconfig, context, namespace), output))
