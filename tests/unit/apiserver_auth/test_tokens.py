"""Tokens: signed by us or refused, and never good for longer than what they speak of."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from graylane.cluster.apiserver.tokens import claims, jwt
from graylane.cluster.apiserver.tokens.claims import Identity, Reference
from graylane.cluster.apiserver.tokens.jwt import BadToken
from graylane.model.meta import Obj

KEY = ec.generate_private_key(ec.SECP256R1())
IDENTITY = Identity(
    "shop", "web", "uid-1", bound=Reference("pod", "p", "uid-2"), token_id="j", expires=2_000, not_before=1_000
)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def read(token: str) -> Obj:
    return jwt.decode(token, KEY.public_key())


def test_what_was_signed_is_read_again() -> None:
    said = claims.requested(IDENTITY, 1_000)
    assert read(jwt.encode(said, KEY)) == said
    assert claims.identity_of(said) == IDENTITY


def test_claims_are_kubernetes() -> None:
    said = claims.requested(IDENTITY, 1_000)
    assert said["sub"] == "system:serviceaccount:shop:web"
    assert said["kubernetes.io"] == {
        "namespace": "shop",
        "serviceaccount": {"name": "web", "uid": "uid-1"},
        "pod": {"name": "p", "uid": "uid-2"},
    }


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_token_changed_anywhere_is_refused(place: int) -> None:
    parts = jwt.encode(claims.requested(IDENTITY, 1_000), KEY).split(".")
    other = "A" if parts[place][10] != "A" else "B"
    parts[place] = parts[place][:10] + other + parts[place][11:]
    with pytest.raises(BadToken):
        read(".".join(parts))


def test_a_token_of_another_key_is_refused() -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(BadToken, match="not this cluster's"):
        read(jwt.encode({"iss": claims.ISSUER}, stranger))


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "", None, 5])
def test_a_token_cannot_choose_how_it_is_checked(algorithm: object) -> None:
    _, body, signature = jwt.encode({}, KEY).split(".")
    with pytest.raises(BadToken, match="not with ES256"):
        read(f"{part({'alg': algorithm})}.{body}.{signature}")
    with pytest.raises(BadToken):
        read(f"{part({'alg': algorithm})}.{body}.")


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "a.b", "a.b.c.d", "é.é.é", "e30.\udcff.e30", "x" * 20_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        read(text)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://elsewhere"},
        {"sub": "system:serviceaccount:shop:other"},
        {"exp": "soon"},
        {"exp": None},
        {"kubernetes.io": None},
        {"kubernetes.io": {"namespace": "shop"}},
    ],
)
def test_claims_that_are_not_ours_are_refused(change: Obj) -> None:
    with pytest.raises(BadToken):
        claims.identity_of(claims.requested(IDENTITY, 1_000) | change)


@pytest.mark.parametrize(("second", "good"), [(999, False), (1_000, True), (1_999, True), (2_000, False)])
def test_a_token_holds_from_its_first_second_to_before_its_last(second: int, good: bool) -> None:
    now = datetime.fromtimestamp(second, UTC)
    if good:
        IDENTITY.holds_at(now)
    else:
        with pytest.raises(BadToken):
            IDENTITY.holds_at(now)


def test_the_key_set_tells_the_public_half_only() -> None:
    (shown,) = jwt.key_set(KEY.public_key())["keys"]
    assert set(shown) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
