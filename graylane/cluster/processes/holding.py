"""Our side of the holder: found or started, claimed, asked; what it holds as processes with futures for their ends.

Shell. In: a directory, `Launch`es. Out: `Process`es that go on when we are killed. A request waits for its answer
without letting the loop go on, as `Popen` does until its child has begun: a moment. A holder that does not answer for
long, or is killed, is lost, and what it held is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import graylane
from graylane.cluster.processes import holder
from graylane.cluster.processes.child import Exit, Launch, words_of
from graylane.cluster.processes.records import Records, await_end
from graylane.cluster.processes.stdio import Inlet, Output
from graylane.cluster.processes.wire import VERSION, Incoming, Message, connect, encode
from graylane.errors import GraylaneError, UserError

_LOG = logging.getLogger(__name__)
PATIENCE_SECONDS = 300.0
_ANSWER_WITHIN = 30.0
_LAST = "last"


class HolderLost(GraylaneError, OSError):
    """It does not answer any more; what it held is being ended."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a process is held: by which name, with which notes for whoever takes it over, and where its log goes.

    `preface` is written there first. `flush`: its unfinished last line is there, as such, when its end is told.
    """

    id: str
    log: Path
    notes: Message
    preface: str = ""
    flush: bool = False


class Process:
    """A held process, as `Child` is one of our own. `output` is only called between `listen(True)` and `(False)`."""

    def __init__(self, link: Link, known: Message, feeding: int | None, output: Output | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.id: str = known["id"]
        self.pid: int = known["pid"]
        self.notes: Message = known["notes"]
        self.stopping: bool = known["stopping"]
        self.ended_at: float = known["at"]
        self.output: Output = output or (lambda stream, data: None)
        self.exited: asyncio.Future[Exit] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._link = link
        self.inlet = Inlet(feeding, terminal=known["terminal"], closed=lambda: self._say("end input"))
        if known["exit"] is not None:
            self.exited.set_result(Exit.of(known["exit"]))
        if known["gone"]:
            self.is_gone()

    async def stop(self, grace_seconds: float, first: signal.Signals = signal.SIGTERM) -> Exit:
        """As `Child.stop`; it is the holder that counts the seconds, whatever becomes of us."""
        self.stopping = True
        self._say("stop", seconds=grace_seconds, signal=int(first))
        done, _ = await asyncio.wait([self.gone], timeout=grace_seconds + _ANSWER_WITHIN)
        if not done:
            self._link.give_up()
            await asyncio.wait([self.gone])
        return self.exited.result()

    def kill(self) -> None:
        """SIGKILL to all of it, now."""
        self._say("kill")

    def note(self, **notes: object) -> None:
        """For whoever takes it over."""
        self.notes |= notes
        self._say("note", notes=notes)

    def listen(self, on: bool) -> None:
        if not self.gone.done():
            self._link.ask({"do": "listen", "id": self.id, "on": on})

    def forget(self) -> None:
        """Its end needs not be known any more, once it has ended."""
        self._say("forget")

    # -- from the link

    def has_exited(self, code: int, at: float) -> None:
        if not self.exited.done():
            self.ended_at = at
            self.exited.set_result(Exit.of(code))

    def is_gone(self) -> None:
        self.inlet.close()
        if not self.gone.done():
            self.gone.set_result(None)

    def _say(self, what: str, **more: object) -> None:
        self._link.say({"do": what, "id": self.id, **more})


class Link:
    """A connection that has claimed a holder. `lost` is called once when it ends without our doing."""

    def __init__(self, connection: socket.socket, lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._incoming = Incoming(connection)
        self._lost = lost
        self.processes: dict[str, Process] = {}
        self.open = True
        self._fault: Exception | None = None
        connection.settimeout(_ANSWER_WITHIN)
        self.say({"do": "claim", "pid": os.getpid()})
        self.found = self._answer()[0]
        self._loop.add_reader(connection.fileno(), self._readable)

    @property
    def pid(self) -> int:
        return int(self.found["pid"])

    def start(self, launch: Launch, keeping: Keeping, output: Output | None) -> Process:
        """Raises OSError when it cannot be executed, `HolderLost`."""
        wanted: Message = {
            "argv": words_of(launch),
            "env": dict(launch.env),
            "cwd": str(launch.cwd),
            "stdin": launch.stdin,
            "terminal": launch.terminal,
            "id": keeping.id,
            "log": str(keeping.log.absolute()),
            "notes": keeping.notes,
            "preface": keeping.preface,
            "flush": keeping.flush,
        }
        answer, descriptors = self.ask({"do": "start", **wanted})
        if "error" in answer:
            raise OSError(*answer["error"])
        state = {"exit": None, "at": 0.0, "gone": False, "stopping": False}
        return self._has({**wanted, **answer, **state}, descriptors, output)

    def take(self, known: Message) -> Process:
        """What the holder was found with. Raises `HolderLost`."""
        descriptors = self.ask({"do": "input", "id": known["id"]})[1] if known["input"] else []
        return self._has(known, descriptors, None)

    def _has(self, known: Message, descriptors: list[int], output: Output | None) -> Process:
        process = Process(self, known, descriptors[0] if descriptors else None, output)
        self.processes[process.id] = process
        process.gone.add_done_callback(lambda _: self.processes.pop(process.id, None))
        return process

    def say(self, message: Message) -> None:
        """What needs no answer; nobody hears it when the holder is lost."""
        if self.open:
            try:
                self._connection.sendall(encode(message))
            except OSError as error:
                self._failed(error)

    def ask(self, message: Message) -> tuple[Message, list[int]]:
        """Raises `HolderLost`."""
        self.say(message)
        return self._answer()

    def keep(self, claim: socket.socket) -> None:
        """Have a socket stay open until the holder ends."""
        with contextlib.suppress(OSError):  # lost, as will be noticed
            socket.send_fds(self._connection, [encode({"do": "keep", "fds": 1})], [claim.fileno()])

    def kept(self) -> socket.socket | None:
        """Such a socket."""
        descriptors = self.ask({"do": "kept"})[1]
        return socket.socket(fileno=descriptors[0]) if descriptors else None

    def give_up(self) -> None:
        """It does not do as it is told."""
        self._failed(TimeoutError("it does not obey"))

    def close(self) -> None:
        if self.open:
            self.open = False
            self._loop.remove_reader(self._connection.fileno())  # safe before there is one
            self._incoming.close()

    def end(self, *, last: bool) -> None:
        """Have all of it ended; returns when the holder has closed the connection."""
        self.say({"do": "end", "last": last})
        with contextlib.suppress(OSError):
            while self.open and self._incoming.receive():
                pass
        self.close()

    def _answer(self) -> tuple[Message, list[int]]:
        """Events that come before it are told when the loop goes on."""
        while self.open:
            while (found := self._incoming.next()) is not None:
                if "event" not in found[0]:
                    self._loop.call_soon(self._hear)  # what came with it
                    return found
                self._loop.call_soon(self._happened, found[0])
            try:
                if not self._incoming.receive():
                    self._failed(EOFError("it has ended"))
            except OSError as error:
                self._failed(error)
        raise HolderLost("the process that holds others does not answer") from self._fault

    def _readable(self) -> None:
        try:
            more = self._incoming.receive()
        except OSError as error:
            self._failed(error)
            return
        self._hear()
        if not more:
            self._failed(EOFError("it has ended"))

    def _hear(self) -> None:
        while (found := self._incoming.next()) is not None:
            self._loop.call_soon(self._happened, found[0])

    def _happened(self, event: Message) -> None:
        process = self.processes.get(event["id"])
        if process is None:
            return
        match event["event"]:
            case "output":
                process.output(event["stream"], event["data"].encode("latin-1"))
            case "exited":
                process.has_exited(event["exit"], event["at"])
            case "gone":
                process.is_gone()

    def _failed(self, error: Exception) -> None:
        if self.open:
            self.close()
            self._fault = error
            _LOG.error("the process that holds others is lost: error=%r", error)
            self._loop.call_soon(self._lost)


def find(directory: Path, lost: Callable[[], None]) -> Link | None:
    """The holder that an earlier run has left in this directory, claimed; None when there is none.

    One of another version is ended. Raises `UserError` when it is another living process'.
    """
    connection = connect(directory, _ANSWER_WITHIN)
    if connection is None:
        return None
    try:
        link = Link(connection, lost)
    except HolderLost as error:
        if not isinstance(error.__cause__, TimeoutError):
            return None  # it was about to end
        raise UserError(f"{directory}: the process that holds it is another one's, or does not answer") from None
    if link.found["version"] == VERSION:
        return link
    _LOG.warning("what another version of Graylane holds is ended: version=%s ours=%s", link.found["version"], VERSION)
    link.end(last=True)
    return None


def start(directory: Path, patience: float) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A new holder, and the way to it."""
    directory.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair()
    root = str(Path(graylane.__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {root!r}); from {holder.__name__} import main; main(*sys.argv[1:])"
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, str(theirs.fileno()), str(patience)],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # or whoever reads ours would wait for the holder's end as well
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[theirs.fileno()],
        )
    return process, ours


def look(directory: Path) -> Message | None:
    """What the holder of this directory says of itself, without claiming it; None when there is none that we know."""
    found = _ask(directory, {"do": "look"})
    return found if found is not None and found["version"] == VERSION else None


def end(directory: Path) -> int | None:
    """End all that is held there, or has outlived a holder that was killed; returns how many processes went on, None
    when another living process has them."""
    found = _ask(directory, {"do": "look"})
    if found is not None and found.get("claimed"):
        return None
    if found is not None:
        _ask(directory, {"do": "end", "last": False})
        await_end([found["pid"]])
    swept = Records(directory).sweep()
    clear_up(directory)
    return len(swept) + sum(not each.get("gone") for each in (found or {}).get("held", ()))


def leave_word(directory: Path, last: Sequence[str]) -> None:
    """For `clear_up`, should the holder be killed, which has been told as well; `last` may be empty."""
    words = directory / _LAST
    if last:
        words.write_text(json.dumps(list(last)))
    else:
        words.unlink(missing_ok=True)


def clear_up(directory: Path) -> None:
    """Run the command that is the last one there, where no holder is left to run it."""
    with contextlib.suppress(OSError, ValueError):
        subprocess.run(json.loads((directory / _LAST).read_text()), stdin=subprocess.DEVNULL, check=False)
        (directory / _LAST).unlink()


def _ask(directory: Path, message: Message) -> Message | None:
    """The answer, or None when it ends without one."""
    connection = connect(directory, _ANSWER_WITHIN)
    if connection is None:
        return None
    with contextlib.closing(Incoming(connection)) as incoming, contextlib.suppress(OSError):
        connection.sendall(encode(message))
        while incoming.receive():
            if (found := incoming.next()) is not None:
                return found[0]
    return None


def end_left(data_dir: Path) -> int:
    """End all that goes on of a cluster that was killed, Envoy and pods; returns how many processes those were."""
    return sum(end(each) or 0 for each in sorted((data_dir / "processes").glob("*/")))


def end_orphans(data_dir: Path) -> None:
    """End what has outlived holders that were killed: it has ports and addresses. What is held goes on."""
    for directory in sorted((data_dir / "processes").glob("*/")):
        if _ask(directory, {"do": "look"}) is None:
            Records(directory).sweep()


def count_left(data_dir: Path) -> int:
    """How many processes of a cluster that was killed go on."""
    found = [look(each) for each in sorted((data_dir / "processes").glob("*/"))]
    return sum(not held["gone"] for each in found if each is not None for held in each["held"])


def setting_of(directory: Path) -> str:
    """For which setting something is held there that goes on; "" when nothing does."""
    found = look(directory)
    going_on = found is not None and any(each["exit"] is None for each in found["held"])
    return str(found["setting"]) if found is not None and going_on else ""
