"""Bearer tokens as they come in headers: known, or 401, whatever bytes they are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from graylane.cluster.apiserver.auth import Authenticator
from graylane.cluster.apiserver.exchange import User
from graylane.cluster.apiserver.store import Store
from graylane.cluster.apiserver.tokens.accounts import Accounts
from graylane.cluster.apiserver.tokens.issuer import Issuer
from graylane.cluster.apiserver.tokens.jwt import BadToken
from graylane.errors import Unauthorized


@pytest.fixture
def authenticator(tmp_path: Path) -> Authenticator:
    accounts = Accounts(Store(tmp_path / "api"), Issuer(tmp_path / "key"), lambda: datetime.now(UTC))
    return Authenticator({"secret": User("jane", ("dev",), "7")}, accounts)


def test_a_given_token_makes_its_user_and_one_group_more(authenticator: Authenticator) -> None:
    for header in ("Bearer secret", "bearer  secret "):
        assert authenticator.authenticate(header) == User("jane", ("dev", "system:authenticated"), "7")


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic secret", "secret", "Bearer secre", "Bearer secret2", "Bearer a.b.c",
     "Bearer \udcff", "Bearer \udcff.\udcff.\udcff", "Bearer " + "x." * 9000],
)  # fmt: skip
def test_anything_else_is_nobody(authenticator: Authenticator, header: str) -> None:
    with pytest.raises(Unauthorized):
        authenticator.authenticate(header)


def test_a_given_token_is_for_this_api_alone(authenticator: Authenticator) -> None:
    with pytest.raises(BadToken):
        authenticator.known("secret", ("vault",))
