"""Every error Graylane raises, drawn as one tree, named by who must act.

Pure. In: what went wrong. Out: exceptions; `ApiError` also converts to and from the Kubernetes `Status` object.

    GraylaneError
    ├── UserError                 the user: bad flag, file or manifest; the message says what to type
    └── ApiError                  an answer of a Kubernetes API (code, reason as kube-apiserver gives them)
        ├── BadRequest 400  Unauthorized 401  Forbidden 403  NotFound 404  MethodNotAllowed 405
        ├── NotAcceptable 406  AlreadyExists 409  Conflict 409 (retry now)  Gone 410 (list again)
        ├── TooLarge 413  UnsupportedMediaType 415  Invalid 422 (user, with the field path)
        └── TooManyRequests 429  InternalError 500  NotImplementedByServer 501  Unavailable 503
            (Unreachable: there was no answer; Untrusted: not from whom we trust)
            Timeout 504                                              (all of these: retry later)
"""

from __future__ import annotations

from typing import Any, ClassVar


class GraylaneError(Exception):
    """Root of the family: catch this to catch everything Graylane means to raise."""


class UserError(GraylaneError):
    """The user can mend it; the message is one line saying what, which object, and what to do."""


class ApiError(GraylaneError):
    """A failed API call. `details` is the `Status.details` object (kind, name, causes…), possibly empty."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(self, message: str, *, details: dict[str, Any] | None = None, code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details or {}
        self.shows_details = details is not None
        self.http_code = code or self.code

    def to_status(self) -> dict[str, Any]:
        """The `v1.Status` object that kube-apiserver would send."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            **({"reason": self.reason} if self.reason else {}),
            "code": self.http_code,
        }
        if self.shows_details:
            status["details"] = self.details
        return status

    @staticmethod
    def from_status(status: dict[str, Any], http_code: int) -> ApiError:
        """The matching subclass for a `Status` body; unknown reasons fall back on the HTTP code."""
        reason = str(status.get("reason", ""))
        code = int(status.get("code") or http_code)
        family = _BY_REASON.get(reason) or _BY_CODE.get(code) or ApiError
        message = str(status.get("message") or f"the server answered HTTP {http_code}")
        return family(message, details=status.get("details") or {}, code=code)


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Gone(ApiError):
    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class Unclassified(ApiError):
    """What kube-apiserver answers with a bare 500, though it is the client's mistake."""

    code, reason = 500, ""


class NotImplementedByServer(ApiError):
    code, reason = 501, "NotImplemented"


class Unavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Unreachable(Unavailable):
    """Nobody answered at all."""


class Untrusted(Unreachable):
    """Somebody did, whose certificate is not one of those that we were told to trust."""


class Timeout(ApiError):
    code, reason = 504, "Timeout"


_FAMILY: tuple[type[ApiError], ...] = (
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    AlreadyExists,
    Gone,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    NotImplementedByServer,
    Unavailable,
    Timeout,
)
_BY_REASON = {error.reason: error for error in _FAMILY} | {"Gone": Gone}
_BY_CODE = {error.code: error for error in reversed(_FAMILY)}
