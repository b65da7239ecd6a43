"""Whatever is sent, the answer is a Status that says what is wrong, and nothing half-written stays behind."""

from __future__ import annotations

import pytest

from graylane.testing.api.objects import config_map, deployment
from graylane.testing.api.rig import Rig


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


BROKEN = {
    "truncated": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"na',
    "empty": b" ",
    "a list": b"[1,2]",
    "a string": b'"x"',
    "null": b"null",
    "not a number": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":NaN}}',
    "invalid UTF-8": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"\xff\xfe"}}',
    "deep": b'{"a":' * 1500 + b"1" + b"}" * 1500,
    "trailing text": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}} x',
    "a wrong metadata": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":"x"}',
    "a wrong label": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"a":1}}}',
    "a wrong value": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":1}}',
    "a wrong version": b'{"apiVersion":"v2","kind":"ConfigMap","metadata":{"name":"a"}}',
    "a lone surrogate": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"\\ud800"}}',
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_body_is_a_bad_request(api: Rig, ns: str, name: str) -> None:
    answer = await api.call("POST", maps(ns), BROKEN[name])
    assert (answer.status, answer.json["kind"], answer.json["status"]) == (400, "Status", "Failure")
    assert "Traceback" not in answer.message
    assert (await api.call("GET", f"{maps(ns)}/a")).status == 404


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in ("empty",)])
async def test_a_broken_patch_changes_nothing(api: Rig, ns: str, name: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    for kind in ("merge-patch", "strategic-merge-patch", "json-patch"):
        answer = await api.call("PATCH", f"{maps(ns)}/a", BROKEN[name], content_type=f"application/{kind}+json")
        assert answer.status in (400, 422), (kind, answer.body)
    assert await api.get(f"{maps(ns)}/a") == made


async def test_a_body_of_ten_megabytes_is_too_large(api: Rig, ns: str) -> None:
    if api.kind == "in-process":
        pytest.skip("the limit belongs to the socket")
    body = config_map("a", {"a": "x" * (10 * 1024 * 1024)})
    answer = await api.call("POST", maps(ns), body)
    assert (answer.status, answer.reason) == (413, "RequestEntityTooLarge")


async def test_an_unknown_media_type_is_refused_with_the_known_ones(api: Rig, ns: str) -> None:
    answer = await api.call("POST", maps(ns), b"<a/>", content_type="text/xml")
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")
    assert "application/json" in answer.message


async def test_what_cannot_be_answered_is_not_acceptable(api: Rig, ns: str) -> None:
    answer = await api.call("GET", maps(ns), accept="text/xml")
    assert (answer.status, answer.reason) == (406, "NotAcceptable")


async def test_unknown_and_duplicate_fields_are_named(api: Rig, ns: str) -> None:
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"1","a":"2"},"extra":1}'
    strict = await api.call("POST", maps(ns), body, fieldValidation="Strict")
    assert strict.status == 400
    assert 'duplicate field "data.a"' in strict.message
    assert 'unknown field "extra"' in strict.message
    warned = await api.call("POST", maps(ns), body)
    assert warned.status == 201
    assert len(warned.warnings) == 2


async def test_a_wrong_type_names_the_field(api: Rig, ns: str) -> None:
    answer = await api.call("POST", f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("a", replicas="three"))
    assert answer.status == 400
    assert answer.message.startswith('Deployment in version "v1" cannot be handled as a Deployment: ')
    assert "replicas" in answer.message


async def test_a_method_that_means_nothing_here_is_not_allowed(api: Rig, ns: str) -> None:
    for method, path in (("PUT", maps(ns)), ("PATCH", maps(ns)), ("POST", f"{maps(ns)}/a")):
        answer = await api.call(method, path, config_map("a"), content_type="application/json")
        assert answer.status in (405, 400, 415), (method, path)


async def test_without_a_credential_nobody_is_known(api: Rig, ns: str) -> None:
    for token in ("", "wrong", "c", "conformance-"):
        answer = await api.call("GET", maps(ns), token=token)
        assert (answer.status, answer.reason) in ((401, "Unauthorized"), (403, "Forbidden"))


async def test_a_user_without_rights_is_told_so(api: Rig, ns: str) -> None:
    if api.kind == "foreign":
        pytest.skip("the token belongs to our own server")
    answer = await api.call("GET", maps(ns), token="nobody")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert '"nobody" cannot list' in answer.message


async def test_a_query_that_makes_no_sense_is_refused(api: Rig, ns: str) -> None:
    assert (await api.call("GET", maps(ns), limit="many")).status == 400
    assert (await api.call("GET", maps(ns), watch="perhaps")).status == 400
