"""Whatever is sent, the answer is a Status that says what is wrong, and nothing half-written stays behind."""

from __future__ import annotations

import pytest

from graylane.testing.api.objects import Obj, config_map, deployment
from graylane.testing.api.rig import APPLY, JSON_PATCH, MERGE, STRATEGIC, Rig


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


BROKEN: dict[str, bytes] = {
    "truncated": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"na',
    "empty": b" ",
    "a list": b"[1,2]",
    "a string": b'"x"',
    "not a number": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":NaN}}',
    "endless": b'{"a":' * 10_100 + b"1" + b"}" * 10_100,
    "trailing text": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}} x',
    "a wrong metadata": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":"x"}',
    "a wrong label": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"a":1}}}',
    "a wrong value": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":1}}',
}
DEEP = b'{"a":' * 1000 + b"1" + b"}" * 1000
HEAD = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}'


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


ONLY_YAML = {
    "an anchor in itself": b"data: &a {a: *a}",
    "a bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in b"bcdefghij"),
    "not a number": b"data: {a: .nan}",
    "a key that is a list": b"data: {? [a] : b}",
    "an object of Python's": b"data: !!python/object/apply:os.system [true]",
    "deep": b"data: " + b"{a: " * 600 + b"1" + b"}" * 600,
    "invalid UTF-8": b"data: {a: \xff}",
}


@pytest.mark.parametrize("name", ONLY_YAML)
async def test_yaml_that_json_cannot_say_is_a_bad_request(api: Rig, ns: str, name: str) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n" + ONLY_YAML[name]
    posted = await api.call("POST", maps(ns), body, content_type="application/yaml")
    applied = await api.call("PATCH", f"{maps(ns)}/a", body, content_type=APPLY, fieldManager="me")
    assert (posted.status, posted.json["kind"]) == (400, "Status"), posted.body
    assert applied.status in ((400,) if api.ours else (400, 500)), applied.body  # Go gets as far as the types of some
    assert applied.json["kind"] == "Status"
    assert (await api.call("GET", f"{maps(ns)}/a")).status == 404


async def test_bytes_in_yaml_are_the_text_they_encode(api: Rig, ns: str) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: !!binary YQ==}\n"
    answer = await api.call("POST", maps(ns), body, content_type="application/yaml")
    assert (answer.status, answer.json["data"]) == (201, {"a": "a"})


async def test_a_date_in_yaml_stays_text_and_an_alias_is_written_out(api: Rig, ns: str) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: &l {a: b}, annotations: *l}\n"
    body += b"data: {day: 2026-01-02}\n"
    answer = await api.call("POST", maps(ns), body, content_type="application/yaml")
    assert (answer.status, answer.json["data"]) == (201, {"day": "2026-01-02"}), answer.body
    assert answer.json["metadata"]["annotations"] == {"a": "b"}


async def test_a_json_patch_that_leaves_no_object_is_refused(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    for value in (3, None, [], "x"):
        whole = [{"op": "replace", "path": "", "value": value}]
        answer = await api.call("PATCH", f"{maps(ns)}/a", whole, content_type=JSON_PATCH)
        assert answer.status in (400, 422), answer.body
    assert await api.get(f"{maps(ns)}/a") == made


async def test_a_json_patch_may_not_grow_an_object_beyond_all_measure(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a", {"a": "x" * 100_000}))
    copies = [{"op": "copy", "from": "/data", "path": f"/x{number}"} for number in range(40)]
    tests = [{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001
    for operations, status in ((copies, 422), (tests, 413)):
        answer = await api.call("PATCH", f"{maps(ns)}/a", operations, content_type=JSON_PATCH)
        assert (answer.status, answer.json["status"]) == (status, "Failure"), answer.message
    assert await api.get(f"{maps(ns)}/a") == made


async def test_a_wrong_version_is_a_bad_request(api: Rig, ns: str) -> None:
    answer = await api.call("POST", maps(ns), b'{"apiVersion":"v2","kind":"ConfigMap","metadata":{"name":"a"}}')
    assert (answer.status, answer.reason) == (400, "BadRequest")


@pytest.mark.parametrize("change", [{"apiVersion": "v2"}, {"kind": "Secret"}], ids=str)
async def test_a_merge_patch_may_not_change_what_an_object_is(api: Rig, ns: str, change: Obj) -> None:
    made = await api.create(maps(ns), config_map("a"))
    merged = await api.call("PATCH", f"{maps(ns)}/a", change, content_type=MERGE)
    assert (merged.status, merged.reason) == (422, "Invalid")
    assert [cause["field"] for cause in merged.json["details"]["causes"]] == ["patch"]
    assert await api.patch(f"{maps(ns)}/a", change, STRATEGIC) == made, "a strategic merge does not look at them"


@pytest.mark.parametrize("kind", [STRATEGIC, JSON_PATCH])
async def test_no_patch_at_all_changes_nothing(api: Rig, ns: str, kind: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    assert await api.patch(f"{maps(ns)}/a", b"null", kind) == made


async def test_no_body_at_all_is_an_object_without_a_name(api: Rig, ns: str) -> None:
    answer = await api.call("POST", maps(ns), b"null")
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "metadata.name: Required value" in answer.message


@pytest.mark.parametrize("text", [b"\xff", b"\\ud800", b"\\udc00x"], ids=["a byte", "half a pair", "the other half"])
async def test_what_is_no_character_becomes_the_replacement_character(api: Rig, ns: str, text: bytes) -> None:
    made = await api.create(maps(ns), HEAD + b',"data":{"a":"' + text + b'"}}')
    assert made["data"]["a"][0] == "\N{REPLACEMENT CHARACTER}"
    named = await api.call("POST", maps(ns), b'{"metadata":{"name":"' + text + b'"}}')
    assert (named.status, named.reason) == (422, "Invalid")


async def test_what_is_nested_deeply_is_an_unknown_field_like_others(api: Rig, ns: str) -> None:
    strict = await api.call("POST", maps(ns), HEAD + b',"x":' + DEEP + b"}", fieldValidation="Strict")
    assert (strict.status, strict.reason) == (400, "BadRequest")
    assert 'unknown field "x"' in strict.message
    warned = await api.call("POST", maps(ns), HEAD + b',"x":' + DEEP + b"}")
    assert (warned.status, warned.warnings) == (201, ['299 - "unknown field \\"x\\""'])
    patched = await api.call("PATCH", f"{maps(ns)}/a", DEEP, content_type=MERGE)
    assert (patched.status, patched.warnings) == (200, ['299 - "unknown field \\"a\\""'])


@pytest.mark.ours("a kube-apiserver keeps what is nested up to 10,000 levels deep")
async def test_what_would_be_kept_must_not_be_nested_too_deeply(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/controllerrevisions"
    answer = await api.call("POST", path, b'{"metadata":{"name":"a"},"revision":1,"data":' + DEEP + b"}")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert "nested more than 200 levels" in answer.message


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


async def test_objects_have_no_heads(api: Rig, ns: str) -> None:
    for query in ({}, {"watch": "true"}):
        answer = await api.call("HEAD", maps(ns), **query)
        assert answer.status == 405
    assert (await api.call("HEAD", "/version")).status in (200, 405)


async def test_without_a_credential_nobody_is_known(api: Rig, ns: str) -> None:
    """A server that lets anybody in as `system:anonymous` says 403 to those who show nothing; ours says 401 to all."""
    for token in ("", "wrong", "c", "conformance-"):
        answer = await api.call("GET", maps(ns), token=token)
        anonymous = not api.ours and not token
        expected = ((401, "Unauthorized"), (403, "Forbidden")) if anonymous else ((401, "Unauthorized"),)
        assert (answer.status, answer.reason) in expected


@pytest.mark.bare("the user's token is known to servers of our own only")
async def test_a_user_without_rights_is_told_so(api: Rig, ns: str) -> None:
    answer = await api.call("GET", maps(ns), token="nobody")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert '"nobody" cannot list' in answer.message


async def test_a_query_that_makes_no_sense_is_refused(api: Rig, ns: str) -> None:
    assert (await api.call("GET", maps(ns), limit="many")).status == 400
    assert (await api.call("GET", maps(ns), timeoutSeconds="soon")).status == 400
    assert (await api.call("GET", maps(ns), sendInitialEvents="true")).status == 422


async def test_whatever_is_said_of_a_flag_means_yes(api: Rig, ns: str) -> None:
    async with api.watch(maps(ns), watch="perhaps") as watch:
        await api.create(maps(ns), config_map("a"))
        assert await watch.take(1) == [("ADDED", "a")]
    for word in ("false", "0", "FALSE"):
        assert (await api.get(maps(ns), watch=word))["kind"] == "ConfigMapList"
