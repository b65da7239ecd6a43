"""Who runs, who has a port, and who owns a data directory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from graylane.cli.datadir import DataDir, Running, default_data
from graylane.cli.ports import free_port, listening_inodes, require_free
from graylane.cli.processes import Process
from graylane.errors import UserError
from graylane.testing.places import own_node

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11111 1 0
   1: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22222 1 0
   2: 0200007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 33333 1 0
   3: 0100007F:192B 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 44444 1 0
   4: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 55555 1 0
"""


def test_listeners_on_the_address_or_on_all_addresses_are_found() -> None:
    assert listening_inodes(TABLE, "127.0.0.1", 6443) == ["11111", "22222"]
    assert listening_inodes(TABLE, "127.0.0.9", 80) == []


def test_a_taken_port_is_told_with_its_process_and_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError) as error:
            require_free("127.0.0.1", port, "--api-port")
    assert f"port 127.0.0.1:{port} is in use by process {os.getpid()} (" in str(error.value)
    assert str(error.value).endswith("choose another with --api-port N")


def test_a_free_port_is_free() -> None:
    address = own_node()
    require_free(address, free_port(address), "--api-port")


def test_a_process_is_known_by_number_and_start_time() -> None:
    own = Process.own()
    assert own.is_alive()
    assert not Process(own.pid, own.started + 1).is_alive()
    assert Process.of(2**22 + 1) is None


def test_waiting_for_a_process_ends_with_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process = Process.of(child.pid)
    assert process is not None
    assert not process.wait(0.05)
    process.signal(signal.SIGKILL)
    assert process.wait(5)
    child.wait()
    process.signal(signal.SIGTERM)  # a process that is gone takes no harm


def running(started_off: int = 0) -> Running:
    own = Process.own()
    return Running(own.pid, own.started + started_off, "/k", "http://127.0.0.1:1")


def test_a_record_counts_only_while_its_process_lives(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "d")
    assert data.running() is None
    with data.claim():
        data.announce(running())
        assert data.running() == running()
        assert data.holder() == Process.own()
        data.announce(running(started_off=1))
        assert data.running() is None
    assert (data.running(), data.holder()) == (None, None)


def test_a_directory_has_one_owner_and_a_killed_one_leaves_it_free(tmp_path: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from graylane.cli.datadir import DataDir\n"
        "with DataDir(Path(sys.argv[1])).claim(): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    data = DataDir(tmp_path)
    with pytest.raises(UserError, match=r"a cluster already runs in .*: it is still starting"), data.claim():
        pass
    assert data.holder() == Process.of(child.pid)
    child.kill()
    child.wait()
    child.stdout.close()
    with data.claim():
        assert data.holder() == Process.own()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("before", [(), ("kubelet", "graylane.log")])
def test_a_directory_that_others_could_read_is_shut_when_claimed(tmp_path: Path, before: tuple[str, ...]) -> None:
    tmp_path.chmod(0o755)
    for name in before:
        (tmp_path / name).mkdir()
    with DataDir(tmp_path).claim():
        assert mode(tmp_path) == 0o700


def test_beside_other_things_of_the_user_only_what_is_ours_is_shut(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir(mode=0o755)
    (tmp_path / "kubelet").mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    with DataDir(tmp_path).claim():
        assert [mode(tmp_path), mode(tmp_path / "thesis")] == [0o755, 0o755]
        assert {path.name: mode(path) for path in tmp_path.iterdir() if path.is_dir() and path.name != "thesis"} == (
            dict.fromkeys(("api", "envoy", "kubelet", "pki", "pods", "processes", "volumes"), 0o700)
        )


def test_the_default_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert default_data() == Path("/s/graylane")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_data() == Path.home() / ".local" / "state" / "graylane"
