"""When clients are told to try again: they do so by themselves then, and their users wait unasked."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.cluster.apiserver.api import failure
from graylane.errors import ApiError, NotFound, TooManyRequests, Unavailable

USED_UP = {"causes": [{"reason": "DisruptionBudget", "message": "needs 2 healthy pods and has 2 currently"}]}


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (Unavailable("not yet"), "1"),
        (TooManyRequests("slowly"), "1"),
        (TooManyRequests("evict later", details={"retryAfterSeconds": 10, **USED_UP}), "10"),
        (TooManyRequests("evict when you may", details=USED_UP), None),
        (NotFound("no"), None),
    ],
)
def test_when_to_try_again_is_said_where_waiting_helps(error: ApiError, after: str | None) -> None:
    headers: dict[str, Any] = dict(failure(error).headers)
    assert headers.get("Retry-After") == after
