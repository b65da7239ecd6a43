"""The name server's two sides: a zone in a file, and answers to whoever asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import dns.rdatatype

from graylane.cluster.network import names
from graylane.cluster.network.names import Zone
from graylane.cluster.network.resolver import ZoneFile, serve


def zone(address: str) -> Zone:
    found = Zone("cluster.local.")
    found.add("web.default.svc.cluster.local.", dns.rdatatype.A, address)
    return found


async def test_both_ways_to_ask_are_answered_from_the_zone_that_was_written_last(tmp_path: Path) -> None:
    file = ZoneFile(tmp_path / "zone.json")
    tcp, udp = await serve("127.0.0.1", 0, lambda query, datagram: names.answer(file.zone(), query, datagram=datagram))
    port = tcp.sockets[0].getsockname()[1]

    async def asked(name: str) -> tuple[int, list[str]]:
        query = dns.message.make_query(name, "A")
        over_udp = await dns.asyncquery.udp(query, "127.0.0.1", 10, port)
        over_tcp = await dns.asyncquery.tcp(query, "127.0.0.1", 10, port)
        assert over_udp.answer == over_tcp.answer
        return over_udp.rcode(), [str(each) for found in over_udp.answer for each in found]

    try:
        assert await asked("web.default.svc.cluster.local") == (dns.rcode.NXDOMAIN, [])
        for address in ("10.96.0.1", "10.96.0.2"):
            await asyncio.to_thread(ZoneFile(tmp_path / "zone.json").write, zone(address))
            assert await asked("web.default.svc.cluster.local") == (dns.rcode.NOERROR, [address])
            assert await asked("default.svc.cluster.local") == (dns.rcode.NOERROR, [])
    finally:
        tcp.close()
        udp.close()
