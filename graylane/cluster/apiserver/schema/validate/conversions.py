"""`spec.conversion` of a CustomResourceDefinition: a webhook that can be asked, or none at all.

Pure. In: a conversion. Out: field errors, at the paths of the internal type that kube-apiserver names.
"""

from __future__ import annotations

from typing import Any

from graylane.cluster.apiserver.schema.fielderror import forbidden, invalid, required
from graylane.cluster.apiserver.schema.validate.checks import Errors, one_of, spelled
from graylane.model.meta import Obj

_PATH = "spec.conversion"
_KNOWN = ("v1", "v1beta1")


def conversion(found: Obj) -> Errors:
    yield from one_of(found, "strategy", _PATH, ("None", "Webhook"))
    webhook = found.get("webhook") or {}
    client, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions")
    if found.get("strategy") == "Webhook":
        yield from _client(client)
        yield from _versions(versions)
        return
    for name, value in (("webhookClientConfig", client), ("conversionReviewVersions", versions)):
        if value:
            yield forbidden(f"{_PATH}.{name}", "should not be set when strategy is not set to Webhook")


def _client(client: Obj | None) -> Errors:
    path = f"{_PATH}.webhookClientConfig"
    if client is None:
        yield required(path, "required when strategy is set to Webhook")
    elif (client.get("url") is None) == (client.get("service") is None):
        yield required(path, "exactly one of url or service is required")
    elif client.get("url") is not None:
        yield from spelled(client["url"], f"{path}.url", https)


def _versions(versions: list[str] | None) -> Errors:
    path = f"{_PATH}.conversionReviewVersions"
    if not versions:
        yield required(path)
    elif not set(versions) & set(_KNOWN):
        yield invalid(path, versions, f"must include at least one of {', '.join(_KNOWN)}")


def https(url: Any) -> list[str]:
    return (
        []
        if str(url).startswith("https://")
        else ["'https' is the only allowed URL scheme; desired format: https://host[/path]"]
    )
