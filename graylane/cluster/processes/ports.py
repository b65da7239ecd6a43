"""Whether a port is free at this moment. Shell. In: address and port. Out: yes or no."""

from __future__ import annotations

import socket


def is_free(address: str, port: int) -> bool:
    """Whether somebody could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
