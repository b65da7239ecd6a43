"""The part of the kubelet that gives claims their directories, and takes these back.

Shell. In: claims, volumes and pods of the API. Out: bound volumes; a released volume's directory is removed before its
object goes, so that a crash in between leaves an object that tells of it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from graylane.client import ApiClient
from graylane.cluster.kubelet.storage import claims, volumes
from graylane.cluster.kubelet.storage.volumes import OURS, awaits_removal, is_to_go, path_of
from graylane.errors import ApiError, NotFound
from graylane.kit import Change, Controller, Manager, Outcome, View
from graylane.model.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from graylane.model.meta import Key, Obj, dig, finalizers_of, name_of, namespace_of

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 5.0


class Provisioner:
    """`root` holds a directory per claim."""

    def __init__(self, root: Path, client: ApiClient) -> None:
        self._root = root
        self._client = client
        self._unbound: set[Key] = set()
        self._removing: dict[str, asyncio.Task[None]] = {}

    def controllers(self) -> list[Controller]:
        of_others = {PERSISTENT_VOLUME: self._claims_of_volume, POD: _claims_of_pod}
        of_claim = {PERSISTENT_VOLUME_CLAIM: _volume_of_claim}
        return [
            Controller("volume-binder", PERSISTENT_VOLUME_CLAIM, self._claim, of_others),
            Controller("volume-keeper", PERSISTENT_VOLUME, volumes.reconcile, of_claim),
        ]

    def join(self, manager: Manager) -> None:
        """Before the manager runs."""
        for controller in self.controllers():
            manager.add(controller)
        manager.listen(PERSISTENT_VOLUME, self._volume_changed)

    async def stop(self) -> None:
        tasks = list(self._removing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _claim(self, view: View, key: Key, now: datetime) -> Outcome:
        claim = view.get(PERSISTENT_VOLUME_CLAIM, *key)
        waits = claim is not None and dig(claim, "status", "phase") != "Bound"
        (self._unbound.add if waits else self._unbound.discard)(key)
        return claims.reconcile(view, key, self._root)

    def _claims_of_volume(self, volume: Obj) -> Iterable[Key]:
        """The claim it is kept for; of one that is nobody's, all that still wait."""
        reference = dig(volume, "spec", "claimRef")
        return (_claim_key(reference),) if reference else tuple(self._unbound)

    def _volume_changed(self, change: Change) -> None:
        volume = change.new
        if volume is not None and awaits_removal(volume) and name_of(volume) not in self._removing:
            task = asyncio.create_task(self._remove(volume))
            self._removing[name_of(volume)] = task
            task.add_done_callback(lambda _: self._removing.pop(name_of(volume), None))

    async def _remove(self, volume: Obj) -> None:
        """The directory, then our finalizer. Only what lies in our own folder is ever removed."""
        path = path_of(volume)
        if path is not None and is_to_go(volume) and path.parent == self._root:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        while True:
            if await self._released(name_of(volume)):
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _released(self, name: str) -> bool:
        try:
            live = await self._client.get(PERSISTENT_VOLUME, name)
            left = [each for each in finalizers_of(live) if each != OURS]
            metadata = {"finalizers": left or None, "resourceVersion": live["metadata"]["resourceVersion"]}
            await self._client.patch(PERSISTENT_VOLUME, name, "", {"metadata": metadata})
        except NotFound:
            return True
        except ApiError as error:
            _LOG.info("volume not released, trying again: volume=%s error=%s", name, error)
            return False
        return True


def _claim_key(reference: Mapping[str, Any]) -> Key:
    return Key(str(reference.get("namespace", "")), str(reference.get("name", "")))


def _claims_of_pod(pod: Obj) -> Iterable[Key]:
    return tuple(Key(namespace_of(pod), name) for name in claims.claims_of(pod))


def _volume_of_claim(claim: Obj) -> Iterable[Key]:
    name = dig(claim, "spec", "volumeName")
    return (Key("", str(name)),) if name else ()
