"""`graylane analyze`: what is wrong with a configuration, of manifests or of a cluster, and whether a lane holds.

Shell. In: where to look. Out: one line for each finding, as `istioctl analyze` prints them, or a document. Exit code 0
when there is no error (warnings and notes are none), 1 when there is, 2 for manifests that cannot be read.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from graylane.cli.options import Context, Format, Kubeconfig, Namespace, Scope


class Report(StrEnum):
    """As other verbs have it, and with the name that `istioctl analyze` gives to text."""

    TEXT = "text"
    LOG = "log"
    JSON = "json"
    YAML = "yaml"

    @property
    def form(self) -> Format:
        return Format.TEXT if self is Report.LOG else Format(self.value)


def command(
    filename: Annotated[
        list[Path] | None,
        typer.Option("--filename", "-f", metavar="FILE", help="Manifests, no cluster: file, folder, or - for stdin."),
    ] = None,
    file: Annotated[list[Path] | None, typer.Option("--file", hidden=True)] = None,
    lane: Annotated[
        list[str] | None,
        typer.Option("--lane", metavar="NAME=VALUE", help="Prove the lane of this header, or N=V,N=V; repeatable."),
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Not only of one namespace.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
    output: Annotated[Report, typer.Option("--output", "-o", help="`log` is text.")] = Report.TEXT,
) -> None:
    """Find what is wrong with the configuration, and prove that a lane keeps its promises."""
    from graylane.cli.analyzing import Question, show
    from graylane.cli.connect import run_async

    question = Question((*(filename or ()), *(file or ())), tuple(lane or ()), everywhere)
    run_async(show(question, Scope(kubeconfig, context, namespace), output.form))
