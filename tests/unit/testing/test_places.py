"""What one test has been given no other is given, in whichever process it runs."""

import subprocess
import sys

from graylane.cluster.network import claim
from graylane.testing import places

TAKE = "import sys; from graylane.cluster.network import claim; print(claim.take(sys.argv[1], int(sys.argv[2])))"


def elsewhere(address: str, port: int) -> str:
    done = subprocess.run([sys.executable, "-c", TAKE, address, str(port)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_networks_nodes_and_ports_are_ours_alone() -> None:
    assert elsewhere(f"{places.own_network()}.1", claim.PORT) == "None"
    assert elsewhere(places.own_node(), claim.PORT) == "None"
    assert elsewhere("127.0.0.1", places.free_port()) == "None"


def test_ports_are_none_that_connections_get() -> None:
    assert places.free_port() in range(20000, 30000)
    assert places.free_node_port() in range(30000, 32768)
