"""Who asks.

Shell (asks the store about service accounts, logs what it refuses). In: the Authorization header. Out: a `User`, or
401. What a user may do is decided in `authorization/`.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from dataclasses import replace

from graylane.cluster.apiserver.authorization.impersonation import completed
from graylane.cluster.apiserver.exchange import User
from graylane.cluster.apiserver.tokens.accounts import Accounts, Known
from graylane.cluster.apiserver.tokens.claims import ISSUER
from graylane.cluster.apiserver.tokens.jwt import BadToken
from graylane.errors import Unauthorized

log = logging.getLogger(__name__)

_OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version")


class Authenticator:
    """Tokens given at the start, then those of service accounts."""

    def __init__(self, tokens: Mapping[str, User], accounts: Accounts) -> None:
        self._tokens = {
            token.encode(): replace(user, groups=completed(user.name, user.groups)) for token, user in tokens.items()
        }
        self._accounts = accounts

    def authenticate(self, header: str) -> User:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("Unauthorized")
        try:
            return self.known(token.strip()).user
        except BadToken as error:
            log.info("Refused a bearer token", extra={"reason": str(error)})
            raise Unauthorized("Unauthorized") from None

    def known(self, token: str, audiences: tuple[str, ...] = ()) -> Known:
        """The user of a token that is shown to `audiences`, by default this API. Raises `BadToken`."""
        audiences = audiences or (ISSUER,)
        given = self._given(token)
        if given is None:
            return self._accounts.known(token, audiences)
        if ISSUER not in audiences:
            raise BadToken(f"token audiences {[ISSUER]} is invalid for the target audiences {list(audiences)}")
        return Known(given, (ISSUER,))

    def _given(self, token: str) -> User | None:
        """Every token is compared, in constant time, so that timing tells nothing."""
        found, given = None, token.encode(errors="surrogateescape")
        for known, user in self._tokens.items():
            if hmac.compare_digest(known, given):
                found = user
        return found


def is_open(path: str) -> bool:
    """Health and version are told to anybody, as by a default kube-apiserver."""
    return path.rstrip("/") in _OPEN_PATHS or path.startswith(("/livez/", "/readyz/", "/healthz/"))
