"""Runs `graylane up` as a process and drives it with the real kubectl and curl, as a person does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graylane.cli.datadir import DataDir, Running
from graylane.cli.processes import Process
from graylane.cluster.processes import holding
from graylane.testing import places

EXAMPLES = Path(__file__).parents[2] / "examples" / "end-to-end-canary"
BIN = Path(sys.executable).parent
GRAYLANE = [sys.executable, "-m", "graylane.cli"]
START_SECONDS, STOP_SECONDS = 60, 30


class Up:
    """One data directory. `start` may be called again after `kill` or `stop`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.node_ip = places.own_node()  # beside each other, and beside a developer's own cluster
        self.process: subprocess.Popen[str] | None = None
        self.running: Running | None = None
        self.output = ""

    def start(self, *arguments: str) -> None:
        """Returns when `up` says that it is ready."""
        first = [f"--node-ip={self.node_ip}", "--api-port=0", "--gateway-port=0"] if self.running is None else []
        command = [*GRAYLANE, "up", "--data", str(self.data), *first, *arguments]  # later it is where it was
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log().open("a"), text=True)
        assert self.process.stdout is not None
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if line.startswith("Ctrl-C"):
                break
        self.running = DataDir(self.data).running()
        assert self.running is not None, f"up did not start:\n{self.output}\n{self._log().read_text()}"

    def _log(self) -> Path:
        return self.data.with_suffix(".stderr")

    @property
    def log(self) -> str:
        return self._log().read_text()

    @property
    def gateway(self) -> str:
        assert self.running is not None
        return self.running.gateway

    def kill(self) -> None:
        """`kill -9`: nothing gets a chance to tidy up."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        return self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(STOP_SECONDS)
        assert self.process.stdout is not None
        self.output += self.process.stdout.read()
        self.process.stdout.close()
        self.process = None
        return code

    def kill_at(self, progress: str, *arguments: str) -> None:
        """Start, and `kill -9` as soon as it says that it has come so far."""
        command = [*GRAYLANE, "up", "--data", str(self.data), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if progress in line:
                break
        process.kill()
        process.communicate()
        assert progress in told[-1], "".join(told)

    def descendants(self) -> list[Process]:
        """Every process that comes from this `up`, whatever session or group it is in, or that it has taken over."""
        assert self.process is not None
        holders = [found["pid"] for each in self._holders() if (found := holding.look(each))]
        roots = [process for pid in holders if (process := Process.of(pid))]
        found = {each.pid: each for pid in (self.process.pid, *holders) for each in (*descendants(pid), *roots)}
        return list(found.values())

    def held(self) -> dict[str, int]:
        """Pids of Envoy and of containers, by their ids, as far as they run."""
        known = [each for holder in self._holders() for each in (holding.look(holder) or {"held": []})["held"]]
        return {each["id"]: each["pid"] for each in known if each["exit"] is None}

    def _holders(self) -> list[Path]:
        return list((self.data / "processes").glob("*/"))

    def environment(self) -> dict[str, str]:
        kubeconfig = str(self.data / "kubeconfig")
        ours = {"KUBECONFIG": kubeconfig, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "no_proxy": "*"}
        return {**os.environ, **ours}

    def shell(self, line: str, *, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """One line, typed exactly as the documents print it, in the folder that holds `examples/`."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=EXAMPLES.parents[1],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode == 0) is ok, f"{line}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def kubectl(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(BIN / "kubectl"), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def curl(self, *headers: str) -> str:
        words = [word for header in headers for word in ("-H", header)]
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", *words, self.gateway], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or done.stderr.strip()

    def end(self) -> None:
        """Whatever happened, leave nothing running."""
        if self.process is not None:
            self.stop()
        holding.end_left(self.data)


@contextlib.contextmanager
def unstarted(data: Path) -> Iterator[Up]:
    """An `up` that the block starts; ended however that ends."""
    rig = Up(data)
    try:
        yield rig
    finally:
        rig.end()


@contextlib.contextmanager
def started(data: Path, *arguments: str) -> Iterator[Up]:
    """An `up` that is ready; ended however the block, or its start, ends."""
    with unstarted(data) as rig:
        rig.start(*arguments)
        yield rig


def descendants(pid: int) -> list[Process]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return [process for child in found if (process := Process.of(child)) is not None]


def alive(processes: list[Process]) -> list[str]:
    """What is left of them, with what they call themselves."""
    from graylane.cli.processes import command_of

    return [f"{process.pid} {command_of(process.pid)}" for process in processes if process.is_alive()]
