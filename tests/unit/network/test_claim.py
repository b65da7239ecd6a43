"""Two clusters of one machine never give their pods the same addresses."""

from ipaddress import IPv4Network
from pathlib import Path

from graylane.cluster.network import claim


def networks(*numbers: int) -> list[IPv4Network]:
    return [IPv4Network(f"127.{number}.251.0/24") for number in numbers]


def test_the_first_network_that_nobody_holds_is_ours_until_we_end() -> None:
    with claim.one_of(networks(9, 10)) as first:
        with claim.one_of(networks(9, 10)) as second:
            assert [first, second] == networks(9, 10)
        with claim.one_of(networks(10)) as again:
            assert [again] == networks(10), "what was given back can be had"


def test_where_all_are_held_or_none_can_be_the_first_is_taken() -> None:
    with claim.one_of(networks(9)) as first, claim.one_of(networks(9)) as second:
        assert first == second
    foreign = [IPv4Network("192.0.2.0/24")]
    with claim.one_of(foreign) as found:
        assert [found] == foreign


def test_a_data_directory_has_its_usual_network_and_every_other_one(tmp_path: Path) -> None:
    found = list(claim.preferred(tmp_path))
    assert found == list(claim.preferred(tmp_path))
    assert len(set(found)) == 224
    assert all(16 <= int(str(each).split(".")[1]) < 240 for each in found)
