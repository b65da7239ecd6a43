"""A pod network's names: found again by a later run, short enough for the kernel, apart from another cluster's."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from graylane.cluster.network import namespaces
from graylane.cluster.network.plan import PodNetwork
from graylane.errors import UserError

SERVICES = IPv4Network("10.96.0.0/16")


def network(owner: str = "/data/one") -> PodNetwork:
    return PodNetwork.of(Path(owner), SERVICES)


def test_a_network_is_the_same_in_every_run_of_one_cluster_and_another_elsewhere() -> None:
    assert network() == network()
    assert network().tag != network("/data/two").tag


@pytest.mark.parametrize("owner", [f"/data/{number}" for number in range(50)])
def test_no_network_has_the_addresses_of_services(owner: str) -> None:
    assert not network(owner).pods.overlaps(SERVICES)


def test_every_link_has_a_name_that_the_kernel_takes() -> None:
    names = {network().link(str(network().pods[low])) for low in (2, 255, 256, 65534)}
    assert len(names) == 4
    assert all(len(name) <= 15 for name in names)


def test_the_bridge_has_a_hardware_address_of_its_own_that_nobody_was_assigned() -> None:
    first, *rest = (int(part, 16) for part in network().hardware_address.split(":"))
    assert len(rest) == 5
    assert first & 0b11 == 0b10  # locally administered, one machine's
    assert network().hardware_address != network("/data/two").hardware_address


def test_a_network_knows_its_own_from_another_clusters() -> None:
    one, two = network(), network("/data/two")
    address = str(one.pods[7])
    assert one.owns_namespace(one.namespace(address))
    assert one.path(address).endswith(one.namespace(address))
    assert not two.owns_namespace(one.namespace(address))
    assert one.owns_link(one.link(address))
    assert not two.owns_link(one.link(address))


def test_whoever_is_not_root_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(UserError, match="only root may; use sudo, or leave it out"):
        namespaces.Namespaces.open(network())


def test_another_system_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(UserError, match="needs Linux's network namespaces"):
        namespaces.Namespaces.open(network())
