"""What a verb may end with: the one table of exit codes.

Pure. In: an error. Out: its exit code and the line that says it.

    0    done, and everything asked for holds
    1    done, but a check failed or a release did not succeed
    2    the command line or a manifest is wrong; the message says what to type
    3    an object does not exist
    4    refused: its state, the server or somebody's rights do not allow it
    5    the API server cannot be reached
    6    gave up waiting
    10   a release stands past its deadline, or was taken back for that
    11   a release was aborted
    12   a release was rolled back
    13   a Rollout was disabled or deleted during its release
    70   a defect in Graylane; --debug shows the trace
    130  interrupted with Ctrl-C
"""

from __future__ import annotations

from enum import IntEnum

from graylane.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    GraylaneError,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Timeout,
    Unauthorized,
    Unavailable,
    Unreachable,
    Untrusted,
    UserError,
)


class Exit(IntEnum):
    """Exit codes; scripts may rely on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNREACHABLE = 5
    GAVE_UP = 6
    RELEASE_FAILED = 10
    RELEASE_ABORTED = 11
    RELEASE_ROLLED_BACK = 12
    RELEASE_DROPPED = 13
    DEFECT = 70
    INTERRUPTED = 130


class CheckFailed(GraylaneError):
    """What was asked for was done, and it turned out not to hold."""


class ReleaseEnded(CheckFailed):
    """A release did not succeed; `code` says in which way."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Refused(UserError):
    """The object's state does not allow what was asked; the message says what would."""


class GaveUp(GraylaneError):
    """A wait reached its deadline; the message says what was missing."""


class StartFailed(GraylaneError):
    """The background process said why it did not start; `code` is what it ended with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


_CODES: tuple[tuple[type[GraylaneError] | tuple[type[GraylaneError], ...], Exit], ...] = (
    (Refused, Exit.REFUSED),
    (CheckFailed, Exit.FAILED),
    (GaveUp, Exit.GAVE_UP),
    (NotFound, Exit.NOT_FOUND),
    ((Unavailable, Timeout), Exit.UNREACHABLE),
    ((Conflict, AlreadyExists, Forbidden, Unauthorized, MethodNotAllowed), Exit.REFUSED),
    ((UserError, BadRequest, Invalid), Exit.USAGE),
    (ApiError, Exit.REFUSED),
)


def code_of(error: GraylaneError) -> int:
    """The first row that fits; what no row names is our own defect."""
    if isinstance(error, StartFailed | ReleaseEnded):
        return error.code
    return next((code for family, code in _CODES if isinstance(error, family)), Exit.DEFECT)


_WHAT_TO_DO = (
    (Unauthorized, ": the server does not accept the kubeconfig's credentials"),
    (Untrusted, "; correct the kubeconfig's certificate-authority, or write the kubeconfig anew"),
    (Unreachable, "; start it (`graylane up`), or name another cluster with --kubeconfig or --context"),
)


def line_of(error: BaseException) -> str:
    """One line, whatever the message held, and what to do where that is the same every time."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line + next((advice for family, advice in _WHAT_TO_DO if isinstance(error, family)), "")
