"""The process whose children containers and Envoy are, so that they outlive us, and we learn later how they ended.

Shell. In, on a Unix socket: what to start, signal and forget. Out: pids, ends, exit codes; logs, which it writes
itself, as a line that we have read is lost when we are killed. Run by `table.py` with the standard library alone, in a
session of its own: a few megabytes, of the kind that container runtimes have beside every container.

    whoever claimed it is gone     held processes go on; guarded groups (what `kubectl exec` started) are killed
    nobody claims it for so long   all are killed, and it ends; at once where its directory was deleted
    asked to end                   the same at once
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from graylane.cluster.processes import sessions
from graylane.cluster.processes.held import Held
from graylane.cluster.processes.visitor import Visitor, close
from graylane.cluster.processes.wire import SOCKET, VERSION, Message

_LOOK_EVERY = 0.02  # a group's end sends no event
_ALIVE_EVERY = 0.2  # nor does a claimant's, where there are no pidfds
_FOUND_EVERY = 1.0  # whether somebody could still find us
_MOST_UNREAD = 4 << 20  # bytes that a claimant may leave unread of what it listens to


class Holder:
    """Works in its current directory, from `run` to its return. `patience`: seconds without a claimant."""

    def __init__(self, first: socket.socket, patience: float) -> None:
        self._patience = patience
        self._held: dict[str, Held] = {}
        self._guarded: set[int] = set()
        self._visitors: set[Visitor] = set()
        self._claimant: Visitor | None = None
        self._waiting: deque[Visitor] = deque()
        self._until: float | None = time.monotonic() + patience
        self._setting = ""
        self._last: list[str] = []
        self._kept: tuple[int, ...] = ()
        self._over = False
        self._prepare = _many_files()
        self._watched = selectors.DefaultSelector()
        self._listener = _listening()
        self._watch(self._listener, self._accept)
        self._children = _wakened_by_children()
        self._watch(self._children, self._look_for_ended)
        self._enter(first)

    def run(self) -> None:
        while not self._over:
            ready = self._watched.select(self._pause())
            # Who is gone first: its successor may be at the door already. Words before output: `listen` is one.
            for key, events in sorted(ready, key=lambda each: each[0].data[0]):
                if key.fd in self._watched.get_map():
                    key.data[1](events) if key.data[0] == _VISITOR else key.data[1]()
            self._look_after()
        self._end()

    # -- what is watched

    def _watch(self, file: Any, act: Callable[..., None], order: int = 3) -> None:
        self._watched.register(file, selectors.EVENT_READ, (order, act))

    def _pause(self) -> float | None:
        now = time.monotonic()
        due = [held.stop_by for held in self._held.values() if held.stop_by is not None and not held.gone]
        due += [now + _LOOK_EVERY for held in self._held.values() if held.lingers]
        due += [min(self._until, now + _FOUND_EVERY)] if self._until is not None else []
        if self._claimant is not None and self._claimant.pidfd < 0:
            due.append(now + _ALIVE_EVERY)
        return max(min(due) - now, 0) if due else None

    def _look_after(self) -> None:
        for held in list(self._held.values()):
            if held.overdue and not held.gone:
                held.kill()
            if held.lingers and (held.overdue or not held.left):
                self._leave(held)
        if (claimant := self._claimant) is not None and claimant.pidfd < 0 and not _alive(claimant.pid):
            self._died(claimant)
        if self._until is not None and (time.monotonic() >= self._until or not os.path.exists(SOCKET)):
            self._over = True

    # -- who comes and goes

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            self._enter(connection)

    def _enter(self, connection: socket.socket) -> None:
        visitor = Visitor(connection)
        self._visitors.add(visitor)
        self._watch(connection, lambda events: self._hear(visitor, events), _VISITOR)

    def _hear(self, visitor: Visitor, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            visitor.flush()
        if events & selectors.EVENT_READ and self._receive(visitor) is False:
            self._gone(visitor)
        self._reconsider(visitor)

    def _receive(self, visitor: Visitor) -> bool | None:
        """Read once, and do as it says; None where nothing more has come, False where nothing will."""
        try:
            more = visitor.incoming.receive()
        except BlockingIOError:
            return None
        except OSError:
            return False
        while visitor in self._visitors and (found := visitor.incoming.next()) is not None:
            self._obey(visitor, *found)
        return more

    def _died(self, visitor: Visitor) -> None:
        """A process that was forked from it may have our connection open. Its last words count."""
        while self._receive(visitor):
            pass
        self._gone(visitor)

    def _reconsider(self, visitor: Visitor) -> None:
        """Write when there is something to be written."""
        if visitor in self._visitors:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if visitor.waits else 0)
            key = self._watched.get_key(visitor.connection)
            if key.events != wanted:
                self._watched.modify(visitor.connection, wanted, key.data)

    def _gone(self, visitor: Visitor) -> None:
        if visitor not in self._visitors:
            return
        self._visitors.discard(visitor)
        self._watched.unregister(visitor.connection)
        if visitor.pidfd >= 0:
            self._watched.unregister(visitor.pidfd)
        visitor.close()
        if visitor in self._waiting:
            self._waiting.remove(visitor)
        if visitor is self._claimant:
            self._claimant = None
            self._abandoned()

    def _abandoned(self) -> None:
        for group in self._guarded:
            _kill(group)
        self._guarded.clear()
        for held in self._held.values():
            held.listened = False
        self._until = time.monotonic() + (self._patience if self._held else 0)
        if self._waiting:
            self._claimed(self._waiting.popleft())

    def _claimed(self, visitor: Visitor) -> None:
        self._claimant, self._until = visitor, None
        with contextlib.suppress(AttributeError, OSError):
            visitor.pidfd = os.pidfd_open(visitor.pid)
            self._watch(visitor.pidfd, lambda: self._died(visitor), _PIDFD)
        visitor.tell(self._description())
        self._reconsider(visitor)

    def _description(self) -> Message:
        held = [each.describe() for each in self._held.values()]
        claimed = self._claimant.pid if self._claimant else 0
        return {"version": VERSION, "pid": os.getpid(), "setting": self._setting, "held": held, "claimed": claimed}

    # -- what is asked for

    def _obey(self, visitor: Visitor, message: Message, descriptors: list[int]) -> None:
        match message["do"]:
            case "look":
                visitor.tell(self._description())
            case "claim":
                visitor.pid = message["pid"]
                if self._claimant is None:
                    self._claimed(visitor)
                else:
                    self._waiting.append(visitor)
            case "end" if self._claimant in (None, visitor):
                self._last = self._last if message["last"] else []
                self._over = True
            case "keep" if visitor is self._claimant:
                close(self._kept)
                self._kept = tuple(descriptors)
            case what if visitor is self._claimant:
                self._command(visitor, what, message)

    def _command(self, visitor: Visitor, what: str, message: Message) -> None:
        match what:
            case "settle":
                self._setting, self._last = message["setting"], message["last"]
            case "start":
                self._start(visitor, message)
            case "kept":
                visitor.tell({"done": True}, self._kept)
            case "guard":
                self._guarded.add(message["group"])
            case "unguard":
                self._guarded.discard(message["group"])
            case _ if (held := self._held.get(message["id"])) is not None:
                self._about(visitor, held, what, message)

    def _about(self, visitor: Visitor, held: Held, what: str, message: Message) -> None:
        match what:
            case "stop":
                held.stop(message["seconds"], message["signal"])
            case "kill":
                held.kill()
            case "note":
                held.notes |= message["notes"]
            case "listen":
                held.listened = message["on"]
                visitor.tell({"done": True})
            case "input":
                visitor.tell({"done": True}, () if held.feeding is None else (held.feeding,))
            case "end input":
                held.end_input()
            case "forget":
                held.forgotten = True
                self._forget(held)

    def _start(self, visitor: Visitor, message: Message) -> None:
        try:
            held = Held(message, self._prepare, lambda stream, data: self._tell_output(held, stream, data))
        except OSError as error:
            visitor.tell({"error": [error.errno, error.strerror, error.filename]})
            return
        self._held[held.id] = held
        self._rewatch(held)
        visitor.tell({"pid": held.pid}, () if held.feeding is None else (held.feeding,))

    # -- what becomes of the held

    def _read(self, held: Held, descriptor: int) -> None:
        if descriptor in held.outputs and held.read(descriptor) is False:
            self._watched.unregister(descriptor)
            os.close(descriptor)
            del held.outputs[descriptor]

    def _tell_output(self, held: Held, stream: str, data: bytes) -> None:
        """To who listens. Who leaves too much unread misses some; the log has it."""
        if held.listened and self._claimant is not None and self._claimant.unread < _MOST_UNREAD:
            self._tell({"event": "output", "id": held.id, "stream": stream, "data": data.decode("latin-1")})

    def _look_for_ended(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._children.recv(4096):
                pass
        for held in list(self._held.values()):
            if held.ended:
                self._bury(held)

    def _bury(self, held: Held) -> None:
        self._unwatch(held)
        held.bury()
        self._rewatch(held)
        self._tell({"event": "exited", "id": held.id, "exit": held.exit, "at": held.ended_at})
        if held.gone:
            self._is_gone(held)

    def _leave(self, held: Held) -> None:
        self._unwatch(held)
        held.leave()
        self._is_gone(held)

    def _is_gone(self, held: Held) -> None:
        self._tell({"event": "gone", "id": held.id})
        self._forget(held)

    def _forget(self, held: Held) -> None:
        if held.gone and held.forgotten:
            self._held.pop(held.id, None)

    def _unwatch(self, held: Held) -> None:
        for descriptor in held.outputs:
            self._watched.unregister(descriptor)

    def _rewatch(self, held: Held) -> None:
        for descriptor in held.outputs:
            self._watch(descriptor, lambda each=descriptor: self._read(held, each))

    def _tell(self, event: Message) -> None:
        if self._claimant is not None:
            self._claimant.tell(event)
            self._reconsider(self._claimant)

    def _end(self) -> None:
        """Nothing is left of what we hold and guard, nor of us. Whoever comes meanwhile waits at the door for that."""
        for group in self._guarded:
            _kill(group)
        for held in self._held.values():
            if not held.gone:
                held.stop_by = None
                held.kill()
                held.bury() if held.exit is None else held.leave()
        if self._last:
            with contextlib.suppress(OSError):
                subprocess.run(self._last, cwd="/", stdin=subprocess.DEVNULL, check=False)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET)


_PIDFD, _VISITOR = 0, 1  # the order in which what is ready is looked at


def _listening() -> socket.socket:
    """Where whoever comes later finds us. Only its owner may connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET)
    mask = os.umask(0o177)
    try:
        listener.bind(SOCKET)
    finally:
        os.umask(mask)
    listener.listen()
    listener.setblocking(False)
    return listener


def _wakened_by_children() -> socket.socket:
    """Becomes readable when a child ends, or we are asked to: which Ctrl-C in our terminal must not do."""
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not SIG_IGN: children would inherit that
    return reading


def _many_files() -> Callable[[], None]:
    """Two descriptors for each of the held are soon more than the soft limit; children get what we had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    sessions.kill(group)  # the jobs of a shell with a terminal have groups of their own


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main(first: str, patience: str) -> None:
    Holder(socket.socket(fileno=int(first)), float(patience)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
