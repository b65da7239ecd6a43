"""The webhook server speaks AdmissionReview over TLS, and its registrations lead to it."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from graylane.install import shipped_crds
from graylane.testing.world import World
from graylane.webhooks.conversion import CONVERT, converting
from graylane.webhooks.server import MUTATE_DEPLOYMENT, VALIDATE_ROLLOUT, WebhookConfig, WebhookServer, configurations


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "graylane")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = tmp_path / "tls.crt", tmp_path / "tls.key"
    cert_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(pem, pkcs8, plain))
    return cert_file, key_file


@pytest.fixture
async def server(certificate: tuple[Path, Path]) -> AsyncIterator[WebhookServer]:
    cert, key = certificate
    async with WebhookServer(WebhookConfig("127.0.0.1", 0, cert, key), World().view) as running:
        yield running


async def post(url: str, body: bytes, cert: Path) -> tuple[int, dict]:
    trust = ssl.create_default_context(cafile=str(cert))
    async with aiohttp.ClientSession() as session, session.post(url, data=body, ssl=trust) as answer:
        return answer.status, orjson.loads(await answer.read())


async def test_a_refusal_carries_the_uid_the_code_and_the_reason(
    server: WebhookServer, certificate: tuple[Path, Path]
) -> None:
    rollout = {"metadata": {"name": "web"}, "spec": {"strategy": {"canary": {"steps": []}}}}
    review = {"request": {"uid": "u7", "operation": "CREATE", "object": rollout}}
    status, answer = await post(server.url + VALIDATE_ROLLOUT, orjson.dumps(review), certificate[0])
    response = answer["response"]
    assert (status, answer["kind"], response["uid"], response["allowed"]) == (200, "AdmissionReview", "u7", False)
    assert response["status"]["code"] == 422
    assert "WorkloadRef is required" in response["status"]["message"]


async def test_what_concerns_nobody_is_allowed_without_a_patch(
    server: WebhookServer, certificate: tuple[Path, Path]
) -> None:
    review = {"request": {"uid": "u8", "operation": "UPDATE", "namespace": "shop", "object": {}, "oldObject": {}}}
    _, answer = await post(server.url + MUTATE_DEPLOYMENT, orjson.dumps(review), certificate[0])
    assert answer["response"] == {"uid": "u8", "allowed": True}


async def test_rollouts_and_batch_releases_are_converted_all_or_none(
    server: WebhookServer, certificate: tuple[Path, Path]
) -> None:
    spec = {"workloadRef": {"name": "web"}, "strategy": {"canary": {"steps": [{"traffic": "20%", "replicas": 1}]}}}
    beta = {"apiVersion": "rollouts.kruise.io/v1beta1", "kind": "Rollout", "metadata": {"name": "web"}, "spec": spec}
    wanted = {"uid": "u9", "desiredAPIVersion": "rollouts.kruise.io/v1alpha1"}

    async def ask(*objects: dict) -> dict:
        review = {"apiVersion": "apiextensions.k8s.io/v1", "request": wanted | {"objects": objects}}
        status, answer = await post(server.url + CONVERT, orjson.dumps(review), certificate[0])
        assert (status, answer["kind"], answer["response"]["uid"]) == (200, "ConversionReview", "u9")
        return answer["response"]

    good = await ask(beta)
    assert good["result"] == {"status": "Success"}
    assert good["convertedObjects"][0]["spec"]["strategy"]["canary"]["steps"] == [{"weight": 20, "replicas": 1}]
    record = {
        "apiVersion": "rollouts.kruise.io/v1beta1",
        "kind": "BatchRelease",
        "spec": {"workloadRef": {"name": "web"}},
    }
    other = await ask(record)
    assert other["convertedObjects"][0]["spec"] == {"targetReference": {"workloadRef": {"name": "web"}}}
    bad = await ask(beta, beta | {"apiVersion": "rollouts.kruise.io/v9"})
    assert bad["result"]["status"] == "Failed"
    assert "'rollouts.kruise.io/v9'" in bad["result"]["message"]
    assert "convertedObjects" not in bad


@pytest.mark.parametrize("body", [b"", b"[]", b'{"apiVersion": "apiextensions.k8s.io/v1", "request": {}}'])
async def test_what_is_no_conversion_review_is_refused(
    server: WebhookServer, certificate: tuple[Path, Path], body: bytes
) -> None:
    status, answer = await post(server.url + CONVERT, body, certificate[0])
    assert (status, answer["reason"]) == (400, "BadRequest")


def test_a_cluster_that_cannot_convert_is_told_whom_to_ask() -> None:
    crd = next(crd for crd in shipped_crds() if crd["spec"]["names"]["kind"] == "Rollout")
    asked = converting(crd, "https://127.0.0.1:9", b"PEM")["spec"]["conversion"]
    assert asked["strategy"] == "Webhook"
    assert asked["webhook"]["clientConfig"]["url"] == "https://127.0.0.1:9/convert"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"request": {"operation": "CREATE"}}'])
async def test_what_is_no_review_is_refused(server: WebhookServer, certificate: tuple[Path, Path], body: bytes) -> None:
    status, answer = await post(server.url + VALIDATE_ROLLOUT, body, certificate[0])
    assert (status, answer["reason"]) == (400, "BadRequest")


def test_registrations_fail_open_for_workloads_and_closed_for_rollouts() -> None:
    mutating, validating = configurations("https://127.0.0.1:9", b"PEM")
    assert [obj["kind"] for obj in (mutating, validating)] == [
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ]
    hold, check = mutating["webhooks"][0], validating["webhooks"][0]
    assert (hold["failurePolicy"], check["failurePolicy"]) == ("Ignore", "Fail")
    assert hold["clientConfig"]["url"] == "https://127.0.0.1:9/mutate-apps-v1-deployment"
    assert base64.b64decode(check["clientConfig"]["caBundle"]) == b"PEM"
    assert hold["rules"][0]["operations"] == ["UPDATE"]
