"""Envoy's complaints, as it gave them, and the fields they are about."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.mesh.blame import complaint, field_of

LUA = "function envoy_on_request(handle)\n  this is not lua\nend\n"
NOT_LUA = "script load error: [string \"function envoy_on_request(handle)...\"]:2: '=' expected near 'is'"
MUTATION = (
    'goo.gle/debugproto    \nmutations {\n  request_mutations {\n    remove: "bad\\nname"\n  }\n}\n: Proto constraint '
    "validation failed (HeaderMutationValidationError.Mutations: embedded message failed validation | caused by "
    "MutationsValidationError.RequestMutations[0]: embedded message failed validation | caused by "
    'HeaderMutationValidationError.Remove: value does not match regex pattern "^[^\\x00\\n\\r]*$")\n'
)
NO_FILE = (
    "Error adding/updating cluster(s) outbound|8000||b.shop.svc.cluster.local: Invalid path: /no/such.pem, "
    "outbound|8000|v1|b.shop.svc.cluster.local: Invalid path: /no/such.pem"
)


def on_listeners(why: str) -> str:
    return f"Error adding/updating listener(s) 127.190.30.1_8080: {why}\n127.0.0.1_32292: {why}\n"


def filters(*values: Any) -> Any:
    return {"spec": {"configPatches": [{"patch": {"value": value}} for value in values]}}


def routes(*regexes: str) -> Any:
    return {"spec": {"http": [{"match": [{"headers": {"user": {"regex": regex}}}]} for regex in regexes]}}


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (on_listeners(NOT_LUA), NOT_LUA),
        (
            on_listeners(MUTATION),
            'HeaderMutationValidationError.Remove: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
        ),
        (NO_FILE, "Invalid path: /no/such.pem"),
        ("invalid perl operator: (?>", "invalid perl operator: (?>"),
        ('goo.gle/debugonly    \nname: "t"\nvirtual_hosts {\n  name: "a"\n  dom', "a value is not allowed"),
        ("Invalid duration: goo.gle/debugproto  \nseconds: -1\n", "Invalid duration: seconds: -1"),
        ("Only unique values for domains are permitted", "Only unique values for domains are permitted"),
    ],
)
def test_a_complaint_is_one_line_said_once(why: str, said: str) -> None:
    assert complaint(why) == said


def test_of_several_complaints_the_one_about_a_resource_is_told() -> None:
    why = "Error adding/updating cluster(s) mine: malformed IP address: x, outbound|80||b: no, yours: not that"
    assert complaint(why, "mine") == "malformed IP address: x"
    assert complaint(why, "outbound|80||b") == "no, yours: not that"
    assert complaint(complaint(why, "mine"), "mine") == complaint(why, "mine")


@pytest.mark.parametrize(
    ("obj", "said", "field"),
    [
        (filters({"x": 1}, {"inlineCode": LUA}), NOT_LUA, "spec.configPatches[1].patch.value.inlineCode line 2"),
        (filters({"inlineCode": LUA}, {"inlineCode": LUA}), NOT_LUA, ""),
        (routes("a.*", "(?>atomic)x"), "invalid perl operator: (?>", "spec.http[1].match[0].headers.user.regex"),
        (routes("(?>a)", "(?>b)"), "invalid perl operator: (?>", ""),
        (
            filters({"mutations": {"request_mutations": [{"remove": "bad\nname"}]}}),
            complaint(MUTATION),
            "spec.configPatches[0].patch.value.mutations.request_mutations[0].remove",
        ),
        (
            filters({"name": "no.such.filter"}),
            "Didn't find a registered implementation for 'no.such.filter' with type URL: ''",
            "spec.configPatches[0].patch.value.name",
        ),
        (
            {"spec": {"trafficPolicy": {"tls": {"sni": "pem", "caCertificates": "/no/such.pem"}}}},
            complaint(NO_FILE),
            "spec.trafficPolicy.tls.caCertificates",
        ),
        (routes("a"), "Only unique values for domains are permitted", ""),
        ({}, "invalid perl operator: (?>", ""),
    ],
)
def test_the_field_is_named_where_the_complaint_gives_it_away_and_never_guessed(
    obj: Any, said: str, field: str
) -> None:
    assert field_of(obj, said) == field
