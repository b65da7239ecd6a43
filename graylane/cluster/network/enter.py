"""Enters a pod's network, sees its name server, takes its host name, then becomes the command.

Shell. In: the namespace's path, the pod's resolv.conf, its host name, the command. Out: the command. Run as a script by
`processes/child.py`, with the standard library alone: the steps belong between fork and exec, where code of ours would
be unsafe beside threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys

_NEW_NETWORK, _NEW_MOUNTS, _NEW_NAMES = 0x40000000, 0x00020000, 0x04000000
_BIND, _RECURSIVE, _SLAVE = 0x1000, 0x4000, 0x80000


def enter(namespace: str, resolver: str, name: str) -> None:
    """For this process only. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(what: str, *arguments: object) -> None:
        if getattr(libc, what)(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")

    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    call("setns", descriptor, _NEW_NETWORK)
    os.close(descriptor)
    call("unshare", _NEW_MOUNTS | _NEW_NAMES)
    call("mount", None, b"/", None, ctypes.c_ulong(_RECURSIVE | _SLAVE), None)
    call("mount", resolver.encode(), os.path.realpath("/etc/resolv.conf").encode(), None, ctypes.c_ulong(_BIND), None)
    socket.sethostname(name)


def main(namespace: str, resolver: str, name: str, *words: str) -> None:
    try:
        enter(namespace, resolver, name)
    except OSError as error:
        sys.exit(f"cannot enter the pod's network {namespace}: {error.strerror}")
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec would hand that on
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(words[0], words)
    except OSError as error:
        sys.exit(f'exec: "{words[0]}": {error.strerror}')


if __name__ == "__main__":
    main(*sys.argv[1:])
