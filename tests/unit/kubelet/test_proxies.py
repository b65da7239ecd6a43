"""Programs that ignore their proxy are told how not to."""

from __future__ import annotations

import pytest

from graylane.cluster.kubelet.proxies import advice

ENV = {"http_proxy": "http://127.20.0.3:15001"}


@pytest.mark.parametrize(
    ("words", "env", "says"),
    [
        (("/usr/bin/node", "server.js"), {}, "before version 24 ignores http_proxy"),
        (("npm", "start"), {}, "before version 24 ignores http_proxy"),
        (("java", "-jar", "a.jar"), {}, '"-Dhttp.proxyHost=127.20.0.3 -Dhttp.proxyPort=15001"'),
        (("java", "-Dhttp.proxyHost=x", "-jar", "a.jar"), {}, ""),
        (("java", "-jar", "a.jar"), {"JAVA_TOOL_OPTIONS": "-Dhttp.proxyHost=x"}, ""),
        (("python3", "app.py"), {}, ""),
        ((), {}, ""),
    ],
)
def test_advice_is_given_to_those_who_need_it(words: tuple[str, ...], env: dict[str, str], says: str) -> None:
    found = advice(words, ENV | env)
    assert says in found
    assert bool(found) is bool(says)
    assert not found or "--pod-network=netns" in found
