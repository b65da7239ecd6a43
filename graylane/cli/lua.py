"""`graylane lua test`: run a Lua script on cases, as a release would.

Shell. In: a script and files of cases. Out: a line per case, a diff where one does not hold, exit code 1 then. The
script runs in the same sandbox, with the same limits, as in the controller.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from graylane.trafficrouting.cases import Case, Outcome
    from graylane.trafficrouting.lua.script import Script


class Action(StrEnum):
    """What to do with the script."""

    TEST = "test"


def command(
    action: Annotated[Action, typer.Argument(metavar="test", help="Run the script on each case.")],
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="A Lua file.")],
    cases: Annotated[list[Path], typer.Argument(metavar="CASE.yaml…", help="Cases, or folders of cases.")],
) -> None:
    """Test a Lua script: print a diff for every case whose result is not as expected."""
    from graylane.cli.connect import run_async
    from graylane.cli.exits import CheckFailed
    from graylane.trafficrouting.cases import differences, read_case
    from graylane.trafficrouting.lua.script import Script

    subject = Script(str(script), _text(script))
    known = [read_case(_text(file), str(file)) for path in cases for file in _files(path)]
    failed = 0
    for case, outcome in zip(known, run_async(_outcomes(subject, known)), strict=True):
        lines = differences(case, outcome)
        print("\n".join([f"{'FAILED' if lines else 'ok':<8}{case.place}", *lines]))
        failed += bool(lines)
    if failed:
        raise CheckFailed(f"{script}: {failed} of {len(known)} cases failed")


async def _outcomes(script: Script, cases: list[Case]) -> list[Outcome]:
    from graylane.trafficrouting.lua.engine import LuaPool
    from graylane.trafficrouting.lua.script import LuaError

    outcomes: list[Outcome] = []
    async with LuaPool(1) as pool:
        for case in cases:
            try:
                outcomes.append(await pool.run(script, case.obj))
            except LuaError as error:
                outcomes.append(error)
    return outcomes


def _files(path: Path) -> list[Path]:
    from graylane.errors import UserError

    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.yaml"))
    if not found:
        raise UserError(f"{path}: no .yaml file in this folder")
    return found


def _text(file: Path) -> str:
    from graylane.errors import UserError

    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; name an existing file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text: {error.reason} at byte {error.start}") from error
