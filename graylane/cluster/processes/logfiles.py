"""Container logs on disk, laid out and written as a container runtime does for Kubernetes.

Shell. In: what a process writes, piece by piece. Out: `<root>/<namespace>_<pod>_<uid>/<container>/<restart>.log`, lines
like `2026-01-02T03:04:05.678901234Z stdout F text`, which log shippers made for Kubernetes understand.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

_LONGEST_LINE = 16 * 1024  # what containerd writes as one line; the rest follows as further parts, marked P
_ROTATE_AT = 10 * 1024 * 1024
_KEPT_ROTATIONS = 4


def pod_directory(root: Path, namespace: str, name: str, uid: str) -> Path:
    return root / f"{namespace}_{name}_{uid}"


def instance_file(pod: Path, container: str, restart: int) -> Path:
    return pod / container / f"{restart}.log"


def instances(pod: Path, container: str) -> list[Path]:
    """The logs that are kept, oldest first; rotated pieces are not among them, as in Kubernetes."""
    found = [path for path in (pod / container).glob("*.log") if path.stem.isdigit()]
    return sorted(found, key=lambda path: int(path.stem))


def forget_older(pod: Path, container: str, restart: int) -> None:
    """Keep this instance and the one before it (`--previous`)."""
    for path in instances(pod, container):
        if int(path.stem) < restart - 1:
            for piece in path.parent.glob(f"{path.name}*"):
                piece.unlink(missing_ok=True)


def forget_pod(pod: Path) -> None:
    if pod.is_symlink():  # logs kept elsewhere are not ours to delete
        pod.unlink(missing_ok=True)
    else:
        shutil.rmtree(pod, ignore_errors=True)


def uid_of_directory(pod: Path) -> str:
    """The uid in a name that `pod_directory` made: neither namespaces nor pods have underscores in theirs."""
    return pod.name.rpartition("_")[2]


class LogWriter:
    """One container instance's file. Lines are stamped when they arrive here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()
        self._partial = {"stdout": b"", "stderr": b""}

    def write(self, stream: str, data: bytes) -> None:
        """Append what arrived; an unfinished line waits for its end, or for `_LONGEST_LINE`."""
        *lines, rest = (self._partial[stream] + data).split(b"\n")
        stamp = f"{_now()} {stream} ".encode()
        out = [piece for line in lines for piece in _pieces(stamp, line)]
        while len(rest) > _LONGEST_LINE:
            out.append(stamp + b"P " + rest[:_LONGEST_LINE] + b"\n")
            rest = rest[_LONGEST_LINE:]
        self._partial[stream] = rest
        self._append(b"".join(out))

    def flush(self) -> None:
        """Write out unfinished lines as parts: more of them may come."""
        for stream, rest in self._partial.items():
            if rest:
                self._partial[stream] = b""
                self._append(f"{_now()} {stream} P ".encode() + rest + b"\n")

    def close(self) -> None:
        """Write out unfinished lines; further output goes nowhere."""
        for stream, rest in self._partial.items():
            if rest:
                self._partial[stream] = b""
                self._append(f"{_now()} {stream} F ".encode() + rest + b"\n")
        self._file.close()

    def _append(self, data: bytes) -> None:
        if not data or self._file.closed:
            return
        self._file.write(data)
        self._size += len(data)
        if self._size > _ROTATE_AT:
            self._rotate()

    def _rotate(self) -> None:
        self._file.close()
        moment = _now()  # all of it: names must sort by age, whatever the time zone and however soon the next comes
        day, second, fraction = moment[:10].replace("-", ""), moment[11:19].replace(":", ""), moment[20:29]
        os.rename(self.path, self.path.with_name(f"{self.path.name}.{day}-{second}-{fraction}"))
        rotated = sorted(self.path.parent.glob(f"{self.path.name}.*"))
        for path in rotated[:-_KEPT_ROTATIONS]:
            path.unlink(missing_ok=True)
        self._file = self.path.open("ab", buffering=0)
        self._size = 0


def _pieces(stamp: bytes, line: bytes) -> list[bytes]:
    parts = [line[start : start + _LONGEST_LINE] for start in range(0, len(line), _LONGEST_LINE)] or [b""]
    return [stamp + b"P " + part + b"\n" for part in parts[:-1]] + [stamp + b"F " + parts[-1] + b"\n"]


def _now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"
