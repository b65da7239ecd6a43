"""Sends one request to a gateway, and knows from which address it came: so its proxy's log can be asked for it.

Shell. In: an address, a request. Out: `Probe`. A connection carries one request, so an address means one request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from graylane.chain.match import Request
from graylane.errors import Unavailable

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Probe:
    """`status` 0 is an answer that broke off, or was none."""

    client: str
    status: int


async def send(host: str, port: int, request: Request) -> Probe:
    """Raises `Unavailable` when nobody listens there."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return await _exchange(reader, writer, request)
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        why = str(error) or "it took too long"
        raise Unavailable(f"the gateway at http://{host}:{port} did not answer: {why}") from error


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> Probe:
    address, number, *_ = writer.get_extra_info("sockname")
    lines = [f"{request.method} {request.path} HTTP/1.1", f"host: {request.authority}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await reader.read(-1)
    words = answer.partition(b"\r\n")[0].split()
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return Probe(f"{address}:{number}", status)
