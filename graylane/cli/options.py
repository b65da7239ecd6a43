"""The options that many verbs share, each declared once.

Pure. In: what the user typed. Out: types for the verbs' signatures, and `Scope`: which cluster, which namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How results are printed on stdout."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


class Shape(StrEnum):
    """How objects that were changed are printed on stdout: `text` is a line for each, `name` names each."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Scope:
    """One namespace of one cluster, as far as the user said; None and "" mean that we find it out."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str = ""


Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="Default: $KUBECONFIG, else the cluster of a running `graylane up`, else ~/.kube/config.",
        show_default=False,
    ),
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.", show_default=False)
]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAME", help="Default: the context's namespace.", show_default=False)
]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the result.")]
Changed = Annotated[Shape, typer.Option("--output", "-o", help="What to print: a line, the object, or its name.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Where the embedded cluster keeps its state; default: ~/.local/state/graylane.",
        show_default=False,
    ),
]
Rollouts = Annotated[list[str], typer.Argument(metavar="ROLLOUT", help="NAME or rollout/NAME; several at once.")]
