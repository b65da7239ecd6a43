"""A pod's volumes as directories, and how its processes find them.

Shell. In: the pod's volumes, ConfigMaps and Secrets. Out: `<pod directory>/volumes/<name>/…`, environment variables,
notes.

Processes have no mount namespace, so a volume cannot appear at an absolute mountPath without writing into the
machine's own file system. Each mount is therefore told in the variable `GRAYLANE_MOUNT_<VOLUME>`; a relative
mountPath becomes a link in the container's working directory; for an absolute one the pod gets an event that says
where the files are instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graylane.cluster.kubelet.environment import ConfigProblem, Source, data_of
from graylane.model.kinds import CONFIG_MAP, SECRET
from graylane.model.meta import Obj, dig


@dataclass(frozen=True, slots=True)
class Mounts:
    """What one container gets to know of its volumes."""

    env: Mapping[str, str]
    links: Mapping[str, Path]
    notes: tuple[str, ...]


def volume_sources(pod: Obj) -> set[Source]:
    """The ConfigMaps and Secrets that `prepare` needs."""
    found: set[Source] = set()
    for volume in dig(pod, "spec", "volumes", default=[]):
        if "configMap" in volume:
            found.add((CONFIG_MAP, str(volume["configMap"].get("name", ""))))
        if "secret" in volume:
            found.add((SECRET, str(volume["secret"].get("secretName", ""))))
    return found


def prepare(pod: Obj, directory: Path, objects: Mapping[Source, Obj]) -> None:
    """Make the directories and write the files; safe to repeat. Raises `ConfigProblem` in kubelet's words."""
    for volume in dig(pod, "spec", "volumes", default=[]):
        name = str(volume["name"])
        target = _directory(directory, name)
        target.mkdir(parents=True, exist_ok=True)
        for kind, reference, source_name in _contents(volume):
            obj = objects.get((kind, source_name))
            if obj is None and not reference.get("optional"):
                raise ConfigProblem(
                    f'MountVolume.SetUp failed for volume "{name}" : {kind.kind.lower()} "{source_name}" not found'
                )
            _write(target, _files(name, reference, data_of(kind, obj) if obj else {}), reference.get("defaultMode"))


def mounts(container: Mapping[str, Any], directory: Path) -> Mounts:
    """Where this container's volumes are."""
    env, links, notes = {}, {}, []
    for mount in container.get("volumeMounts") or []:
        name, wanted = str(mount["name"]), str(mount.get("mountPath", ""))
        real = _directory(directory, name) / str(mount.get("subPath") or "")
        variable = "GRAYLANE_MOUNT_" + name.upper().replace("-", "_").replace(".", "_")
        env[variable] = str(real)
        if os.path.isabs(wanted):
            notes.append(
                f'volume "{name}" is at {real}, not at {wanted}: processes share the machine\'s file system; '
                f"read the path from ${variable}"
            )
        else:
            links[wanted] = real
    return Mounts(env, links, tuple(notes))


def link(working_directory: Path, links: Mapping[str, Path]) -> None:
    """Show relative mounts inside the working directory."""
    for name, real in links.items():
        place = working_directory / os.path.normpath(name)
        if not place.is_relative_to(working_directory) or ".." in place.parts:
            raise ConfigProblem(f"mountPath {name!r} leads out of the working directory")
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink():
            place.unlink()
        if not place.exists():
            place.symlink_to(real)


def remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def _directory(directory: Path, volume: str) -> Path:
    return directory / "volumes" / volume


def _contents(volume: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any], str]]:
    if "configMap" in volume:
        yield CONFIG_MAP, volume["configMap"], str(volume["configMap"].get("name", ""))
    if "secret" in volume:
        yield SECRET, volume["secret"], str(volume["secret"].get("secretName", ""))


def _files(volume: str, reference: Mapping[str, Any], data: Mapping[str, bytes]) -> dict[str, bytes]:
    """Path → content; `items` choose and rename keys."""
    items = reference.get("items")
    if not items:
        return dict(data)
    chosen: dict[str, bytes] = {}
    for item in items:
        key, path = str(item.get("key", "")), os.path.normpath(str(item.get("path", "")))
        if os.path.isabs(path) or path.startswith(".."):
            raise ConfigProblem(f'volume "{volume}": path {item.get("path")!r} leads out of the volume')
        if key in data:
            chosen[path] = data[key]
        elif not reference.get("optional"):
            raise ConfigProblem(f'MountVolume.SetUp failed for volume "{volume}" : references non-existent key: {key}')
    return chosen


def _write(target: Path, files: Mapping[str, bytes], mode: Any) -> None:
    stale = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} - set(files)
    for name in stale:
        (target / name).unlink()
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(content)
        temporary.chmod(int(mode) if mode is not None else 0o644)
        temporary.replace(path)
