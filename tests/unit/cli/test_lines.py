"""Which line of a manifest a finding is shown at."""

from __future__ import annotations

import pytest
import yaml

from graylane.cli.lines import line_of

TEXT = """\
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: web
  annotations: {example.com/a.b: x}
spec:
  hosts: [web]
  gateways:
  - front
  http:
  - match:
    - uri: {prefix: /a}
    - headers:
        x.lane: {exct: blue}
    route:
    - destination:
        host: web
        subset: v3
  - name: rest
    route:
    - destination: {host: nowhere, port: {number: 81}}
"""
FOUND = [
    ("Schema validation error: spec.http[0].match[1].headers: x", 13),
    ('unknown field "spec.http[0].match[1].headers.x.lane.exct"', 14),
    ('unknown field "metadata.annotations.example.com/a.b"', 5),
    ("spec.http[].match is not acted on", 11),
    ("spec.http[1].timeout: Required value", 19),
    ("VirtualService rule #0 match #1 is not used", 13),
    ("VirtualService rule #1 not used", 19),
    ("VirtualService rule rest not used", 19),
    ("Referenced host+subset in destinationrule not found: 'web+v3'", 18),
    ("Referenced gateway not found: 'default/front'", 9),
    ("Referenced host:port not found: 'nowhere:81'", 21),
    ("define the same host web which", 7),
    ("Conflict with gateway default/other: port 80 is taken", 1),
    ("something else altogether", 1),
]


@pytest.mark.parametrize(("message", "line"), FOUND)
def test_the_line_is_that_of_the_field_or_value_or_the_objects_first(message: str, line: int) -> None:
    root = yaml.compose(TEXT, yaml.SafeLoader)
    assert root is not None
    assert line_of(root, message) == line
