"""Who may do what, through the real kubectl: tokens, can-i, whoami, acting as somebody else, roles by generator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer
from graylane.testing.api.serve import config, write_kubeconfig
from graylane.testing.waiting import eventually
from tests.e2e.test_kubectl import Kubectl

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Authority:
    return pki.Authority(tmp_path_factory.mktemp("pki") / "pki", datetime.now(UTC))


@pytest.fixture
async def kubectl(tmp_path: Path, authority: pki.Authority) -> AsyncIterator[Kubectl]:
    server = ApiServer(config(tmp_path, authority.pair.certificate.parent))
    await server.start()
    write_kubeconfig(tmp_path, server, authority)
    yield Kubectl(tmp_path)
    await server.stop()


async def test_the_admin_may_do_everything_and_knows_who_he_is(kubectl: Kubectl) -> None:
    assert await kubectl.ok("auth", "can-i", "*", "*") == "yes"
    assert "*.*" in await kubectl.ok("auth", "can-i", "--list")
    who = await kubectl.ok("auth", "whoami")
    assert "admin" in who
    assert "system:masters" in who


async def test_a_robot_gets_a_token_and_the_rights_of_its_role(kubectl: Kubectl) -> None:
    await kubectl.ok("create", "serviceaccount", "robot")
    await kubectl.ok("create", "role", "reader", "--verb=get,list", "--resource=configmaps,deployments.apps/scale")
    await kubectl.ok("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:robot")
    token = await kubectl.ok("create", "token", "robot", "--duration=20m")
    me = (f"--token={token}",)
    assert await kubectl.ok("get", "configmaps", *me) == ""
    refused = await kubectl.fails("get", "secrets", *me)
    assert refused == (
        'Error from server (Forbidden): secrets is forbidden: User "system:serviceaccount:default:robot" cannot list '
        'resource "secrets" in API group "" in the namespace "default"'
    )
    assert await kubectl.ok("auth", "can-i", "list", "configmaps", *me) == "yes"
    no = await kubectl.run("auth", "can-i", "delete", "configmaps", *me)
    assert (no.code, no.out.strip()) == (1, "no")
    listed = await kubectl.ok("auth", "can-i", "--list", *me)
    assert "configmaps" in listed
    assert "/openapi/*" in listed
    assert "system:serviceaccounts:default" in await kubectl.ok("auth", "whoami", *me)
    await kubectl.ok("delete", "serviceaccount", "robot")
    assert "You must be logged in" in await kubectl.fails("get", "configmaps", *me)


async def test_acting_as_somebody_else(kubectl: Kubectl) -> None:
    await kubectl.ok("create", "clusterrolebinding", "devs", "--clusterrole=view", "--group=devs")
    as_jane = ("--as=jane", "--as-group=devs", "--as-group=others", "--as-uid=7")
    assert await kubectl.ok("auth", "can-i", "list", "pods", *as_jane) == "yes"
    who = await kubectl.ok("auth", "whoami", *as_jane, "-o", "jsonpath={.status.userInfo}")
    assert who == '{"groups":["devs","others","system:authenticated"],"uid":"7","username":"jane"}'
    refused = await kubectl.fails("create", "configmap", "a", *as_jane)
    assert 'User "jane" cannot create resource "configmaps" in API group "" in the namespace "default"' in refused
    assert 'User "jane" cannot impersonate' not in refused


async def test_roles_described_and_reconciled(kubectl: Kubectl) -> None:
    role = await kubectl.ok("describe", "clusterrole", "view")
    assert "deployments.apps" in role
    await kubectl.ok("create", "clusterrole", "all-of-it", "--aggregation-rule=team=a")
    await kubectl.ok("create", "clusterrole", "part", "--verb=get", "--resource=pods")
    await kubectl.ok("label", "clusterrole", "part", "team=a")

    async def aggregated() -> bool:
        found = await kubectl.ok("get", "clusterrole", "all-of-it", "-o", "jsonpath={.rules[*].resources}")
        return found == '["pods"]'

    await eventually(aggregated)
    text = await kubectl.ok(
        "create", "role", "r", "--verb=get", "--resource=pods", "-n=default", "--dry-run=client", "-oyaml"
    )
    assert "reconciled" in await kubectl.ok("auth", "reconcile", "-f", "-", stdin=text)
    assert await kubectl.ok("get", "role", "r", "-o", "jsonpath={.rules[0].verbs}") == '["get"]'


async def test_nothing_warns_about_roles_and_accounts(kubectl: Kubectl) -> None:
    done = await kubectl.run("create", "role", "r", "--verb=get", "--resource=pods")
    assert (done.code, done.err) == (0, "")
