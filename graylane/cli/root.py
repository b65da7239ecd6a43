"""The root of the command line: which verbs there are, and the one place where errors become a line and a code.

Shell. In: the arguments. Out: an exit code. A verb's module is imported when the verb is typed, and itself imports the
client or the cluster only when it runs, so that `--help` and completion stay fast.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from graylane import __version__
from graylane.cli import usage
from graylane.cli.exits import Exit, code_of, line_of
from graylane.cli.logs import DEBUG, debugging
from graylane.errors import GraylaneError, UserError

VERBS = (
    "up",
    "down",
    "kubeconfig",
    "demo",
    "status",
    "approve",
    "pause",
    "resume",
    "abort",
    "undo",
    "history",
    "plan",
    "explain",
    "analyze",
    "verify",
    "lua",
)
_DEBUG = "--debug"
_EPILOG = (
    "Exit codes: 0 done · 1 a check failed · 2 wrong input · 3 not found · 4 refused · 5 unreachable · 6 gave up · "
    "of releases: 10 failed · 11 aborted · 12 rolled back · 13 disabled or deleted."
)
_REPORT = (
    "graylane: this is a defect in Graylane: {error}. "
    "Please run the same command with --debug and report what it prints, with what you did before."
)


class Verbs(TyperGroup):
    """Finds each verb's `command` function in the module of the same name."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def invoke(self, ctx: Any) -> Any:
        """A reader of our output that goes away, as `| head` does, is no failure; typer would make it one."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (keeps the interpreter's own flush at exit quiet)
            return Exit.DONE

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise UserError(usage.no_verb(args[0], VERBS))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        if cmd_name not in self.commands:
            self.add_command(_load(cmd_name), cmd_name)
        return self.commands[cmd_name]


def _load(verb: str) -> Any:
    module = importlib.import_module(f"graylane.cli.{verb}")
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(verb)(module.command)
    return typer.main.get_command(app)


def _root() -> Any:
    app = typer.Typer(
        cls=Verbs, no_args_is_help=True, add_completion=False, rich_markup_mode=None, epilog=_EPILOG, help=_HELP
    )
    app.callback()(_callback)
    return typer.main.get_command(app)


_HELP = (
    "Release new versions of a chain of services to a slice of requests. "
    "Start with `graylane demo`, or with `graylane up` and your own manifests."
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"graylane {__version__}")
        raise typer.Exit


def _callback(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show traces of errors and debug logs.")] = False,
) -> None:
    """The options above every verb."""


def run(arguments: list[str]) -> int:
    """Runs one command line; never raises, never shows a trace unless asked to with --debug."""
    if _DEBUG in arguments:
        os.environ[DEBUG] = "1"  # so that a cluster started in the background hears it too
    debug = debugging()
    arguments = [argument for argument in arguments if argument != _DEBUG]
    try:
        code = _root().main(arguments or ["--help"], prog_name="graylane", standalone_mode=False)
        return code if isinstance(code, int) else Exit.DONE
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:
        if wrong := usage.line_of(error):
            error = UserError(wrong)
        return _tell(error, debug)


def _tell(error: Exception, debug: bool) -> int:
    """One line on stderr. Errors raised together are told each on its own line."""
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, ExceptionGroup):
        return max(_tell(part, debug=False) for part in error.exceptions)
    if isinstance(error, GraylaneError):
        print(f"graylane: {line_of(error)}", file=sys.stderr)
        return code_of(error)
    if not debug:
        print(_REPORT.format(error=f"{type(error).__name__}: {line_of(error)}".rstrip(".")), file=sys.stderr)
    return Exit.DEFECT
