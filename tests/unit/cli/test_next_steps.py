"""What `up` tells at its end can be copied into a shell, whatever the directories are called."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from graylane.cli import serve
from graylane.cli.datadir import Running
from graylane.cli.next_steps import Place, ready

DEFAULT = Path("/home/u/.local/state/graylane")
CHECKOUT = Path("/home/u/graylane")
EXAMPLES = CHECKOUT / "examples/end-to-end-canary"


def told(data: Path = DEFAULT, here: Path = CHECKOUT, *, background: bool = True) -> str:
    running = Running(1, 1, str(data / "kubeconfig"), "http://127.0.0.1:30080")
    return ready(running, "up", Place(data, DEFAULT, EXAMPLES, here), background=background)


def test_the_default_directory_needs_no_option() -> None:
    assert "`graylane down`" in told()
    assert "`graylane up`" in told()
    assert "graylane down" not in told(background=False)


def test_another_directory_is_named_wherever_a_verb_needs_it() -> None:
    assert "`graylane down --data /srv/g`" in told(Path("/srv/g"))
    assert "`graylane up --data /srv/g`" in told(Path("/srv/g"), background=False)


@pytest.mark.parametrize("name", ["with spaces", "it's", "$HOME", "plain"])
def test_the_export_means_the_kubeconfig_to_a_shell(name: str) -> None:
    data = Path("/srv") / name
    [line] = [line for line in told(data).splitlines() if "export" in line]
    shell = subprocess.run(["sh", "-c", f'{line}; printf %s "$KUBECONFIG"'], check=True, capture_output=True, text=True)
    assert shell.stdout == str(data / "kubeconfig")


@pytest.mark.parametrize(
    ("variables", "proxied"),
    [({}, False), ({"http_proxy": "http://p:1"}, True), ({"http_proxy": "http://p:1", "no_proxy": "127.0.0.1"}, False)],
)
def test_curl_is_kept_from_a_proxy_that_it_would_ask(
    variables: dict[str, str], proxied: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    serve._tell(Running(1, 1, "/k", "http://127.0.0.1:30080"), "up", DEFAULT, background=True)
    curl = "curl --noproxy '*'" if proxied else "curl"
    assert f"\n  {curl} http://127.0.0.1:30080\n" in capsys.readouterr().out


def test_the_examples_are_named_so_that_they_are_found_from_here() -> None:
    assert "or examples/end-to-end-canary\n" in told()
    assert f"or {EXAMPLES}\n" in told(here=Path("/tmp"))
