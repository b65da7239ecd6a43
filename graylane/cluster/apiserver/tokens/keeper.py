"""Secrets of type `kubernetes.io/service-account-token`: filled in with a token that lives as long as they do.

Shell (tasks, store through the pipeline). In: committed changes of Secrets and ServiceAccounts. Out: writes of the
Secret's data; the removal of Secrets whose account does not exist, as Kubernetes' token controller does it.
"""

from __future__ import annotations

import asyncio
import base64
import logging

from graylane.cluster.apiserver import deletion, pipeline
from graylane.cluster.apiserver.context import Api
from graylane.cluster.apiserver.deletion import DeleteOptions
from graylane.cluster.apiserver.internal import own_call
from graylane.cluster.apiserver.store import Event, EventType
from graylane.cluster.apiserver.tokens.claims import Identity, kept
from graylane.errors import ApiError, NotFound
from graylane.model.meta import Key, Obj, annotations_of, is_deleting, name_of, namespace_of, uid_of

log = logging.getLogger(__name__)

TYPE = "kubernetes.io/service-account-token"
_NAME, _UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


class Keeper:
    """One task per Secret at a time."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Secrets that came while the server was down are found again."""
        self._api.store.on_commit(self._on_commit)
        for entry in self._api.store.entries("secrets"):
            self._look(entry.obj)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_commit(self, event: Event) -> None:
        if event.resource == "secrets" and event.type is not EventType.DELETED:
            self._look(event.entry.obj)
        elif event.resource == "serviceaccounts" and event.type is EventType.DELETED:
            for entry in self._api.store.entries("secrets", event.entry.key.namespace):
                self._look(entry.obj)

    def _look(self, secret: Obj) -> None:
        if secret.get("type") != TYPE or is_deleting(secret):
            return
        account = self._account(secret)
        if account is None or not is_filled(secret, account, self._api.config.bundle()):
            task = asyncio.create_task(self._settle(secret), name=f"token-{name_of(secret)}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _account(self, secret: Obj) -> Obj | None:
        """The account that the Secret means; one that was made anew under the name is another."""
        meant = annotations_of(secret)
        entry = self._api.store.get("serviceaccounts", Key(namespace_of(secret), meant.get(_NAME, "")))
        if entry is None or meant.get(_UID, uid_of(entry.obj)) != uid_of(entry.obj):
            return None
        return entry.obj

    async def _settle(self, secret: Obj) -> None:
        key = Key(namespace_of(secret), name_of(secret))
        account = self._account(secret)
        try:
            if account is None:
                call = own_call(self._api, "secrets", key, "DELETE")
                await deletion.delete(call, key, DeleteOptions(uid=uid_of(secret)))
            else:
                await self._fill(key, account)
        except NotFound:
            return
        except ApiError as error:
            log.warning("Cannot keep a token's Secret", extra={"key": str(key), "error": str(error)})

    async def _fill(self, key: Key, account: Obj) -> None:
        identity = Identity(key.namespace, name_of(account), uid_of(account))
        token = self._api.issuer.sign(kept(identity, key.name))
        bundle = self._api.config.bundle()
        call = own_call(self._api, "secrets", key)
        await pipeline.update(call, key, lambda old: filled(old, account, token, bundle))


def is_filled(secret: Obj, account: Obj, bundle: str) -> bool:
    return filled(secret, account, "", bundle) == secret


def filled(secret: Obj, account: Obj, token: str, bundle: str) -> Obj:
    """`secret` with all that it lacks; a token it already has stays."""
    data: Obj = {**(secret.get("data") or {}), "namespace": _base64(namespace_of(secret))}
    if bundle:
        data["ca.crt"] = _base64(bundle)
    if token or "token" not in data:
        data.setdefault("token", _base64(token))
    annotations = {**annotations_of(secret), _UID: uid_of(account)}
    return {**secret, "metadata": {**secret["metadata"], "annotations": annotations}, "data": data}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
