"""Whether a port is free at this moment. Shell. In: address and port. Out: yes or no, or why not."""

from __future__ import annotations

import socket


def refusal(address: str, port: int) -> OSError | None:
    """Why nobody could listen there now; None where somebody could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error
    return None


def is_free(address: str, port: int) -> bool:
    """Whether somebody could listen there now."""
    return refusal(address, port) is None
