"""Bodies that a real kubectl 1.37 sent, and what they mean. Each file: the body in base64, then its JSON."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from graylane.cluster.apiserver.schema.components import Components
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.wire import protobuf
from graylane.cluster.apiserver.wire.fields import message
from graylane.errors import BadRequest, UnsupportedMediaType

GOLDEN = sorted((Path(__file__).parents[2] / "golden/apiserver/protobuf").glob("*.txt"))


def read(path: Path) -> tuple[bytes, dict[str, object]]:
    body, _, expected = path.read_text().partition("\n")
    return base64.b64decode(body), json.loads(expected)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_body_of_kubectl_decodes_to_the_object_it_meant(path: Path) -> None:
    body, expected = read(path)
    assert protobuf.decode(body) == expected


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_what_was_decoded_fits_its_schema(path: Path) -> None:
    obj = protobuf.decode(read(path)[0])
    group, _, version = obj["apiVersion"].rpartition("/")
    structural = Schemas.load().of(group, version, obj["kind"])
    assert structural is not None
    assert structural.check(obj) == []
    assert structural.unknown(obj) == []


@pytest.mark.parametrize("path", GOLDEN[:3], ids=lambda path: path.stem)
def test_a_truncated_body_is_a_bad_request_never_a_crash(path: Path) -> None:
    body, _ = read(path)
    for length in range(4, len(body)):
        try:
            protobuf.decode(body[:length])
        except (BadRequest, UnsupportedMediaType):
            continue


def test_a_kind_without_field_numbers_is_refused_by_name() -> None:
    meta = b"\x0a\x07acme/v1\x12\x06Widget"
    body = b"k8s\x00\x0a" + bytes([len(meta)]) + meta
    with pytest.raises(UnsupportedMediaType, match="Widget of acme/v1 cannot be decoded from protobuf"):
        protobuf.decode(body)


def test_json_is_not_mistaken_for_protobuf() -> None:
    assert not protobuf.is_protobuf(b"{}")
    with pytest.raises(BadRequest, match="does not appear to be a protobuf message"):
        protobuf.decode(b"{}")


def test_every_field_of_a_pod_has_a_number() -> None:
    components = Components.load()
    for name in ("Container", "Probe", "PodSpec", "SecurityContext", "ServiceSpec"):
        table = message(f"io.k8s.api.core.v1.{name}")
        assert table is not None
        numbered = {field.name for field in table.values()} | {
            inner.name for field in table.values() if field.inline for inner in (message(field.inline) or {}).values()
        }
        assert set(components.node(f"io.k8s.api.core.v1.{name}").fields) <= numbered
