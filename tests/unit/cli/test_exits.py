"""What an error's one line says, and the code it ends with."""

from __future__ import annotations

import pytest

from graylane.cli.exits import Exit, code_of, line_of
from graylane.errors import GraylaneError, Unauthorized, Unavailable, Unreachable, UserError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("two\nlines"), Exit.USAGE, "two lines"),
        (Unauthorized("no"), Exit.REFUSED, "no: the server does not accept the kubeconfig's credentials"),
        (
            Unreachable("nobody answered"),
            Exit.UNREACHABLE,
            "nobody answered; start it (`graylane up`), or name another cluster with --kubeconfig or --context",
        ),
        (Unavailable("a webhook is down"), Exit.UNREACHABLE, "a webhook is down"),
        (GraylaneError(), Exit.DEFECT, "GraylaneError"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(error: GraylaneError, code: Exit, line: str) -> None:
    assert (code_of(error), line_of(error)) == (code, line)
