"""A pod's volumes as directories, and how its processes find them.

Shell. In: the pod's volumes and what their files hold. Out: `<pod directory>/volumes/<name>/…` or a directory that
outlives the pod, environment variables, notes.

Processes have no mount namespace, so a volume cannot appear at an absolute mountPath without writing into the
machine's own file system. Each mount is therefore told in the variable `GRAYLANE_MOUNT_<VOLUME>`; a relative
mountPath becomes a link in the container's working directory; for an absolute one the pod gets an event that says
where the files are instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graylane.cluster.kubelet.contents import File, Given, files_of, is_filled
from graylane.cluster.kubelet.downward import ConfigProblem
from graylane.model.meta import dig

_HOST_CHECKS: Mapping[str, Callable[[Path], bool]] = {
    "": lambda _: True,
    "Directory": Path.is_dir,
    "DirectoryOrCreate": Path.is_dir,
    "File": Path.is_file,
    "FileOrCreate": Path.is_file,
    "Socket": Path.is_socket,
    "CharDevice": Path.is_char_device,
    "BlockDevice": Path.is_block_device,
}


@dataclass(frozen=True, slots=True)
class Mounts:
    """What one container gets to know of its volumes."""

    env: Mapping[str, str]
    links: Mapping[str, Path]
    notes: tuple[str, ...]


def prepare(directory: Path, given: Given, claims: Mapping[str, Path]) -> dict[str, Path]:
    """Make directories and write files; safe to repeat. Where each volume is. Raises `ConfigProblem`.

    `claims` says where the bound PersistentVolumeClaims of the pod's namespace are, by name.
    """
    where: dict[str, Path] = {}
    for volume in dig(given.pod, "spec", "volumes", default=[]):
        name = str(volume["name"])
        where[name] = _place(directory, volume, claims)
        if is_filled(volume):
            write(where[name], files_of(volume, given))
    return where


def mounts(container: Mapping[str, Any], where: Mapping[str, Path], expanded: Callable[[str], str]) -> Mounts:
    """Where this container's volumes are; `expanded` resolves the variables in a `subPathExpr`."""
    env, links, notes = {}, {}, []
    for mount in container.get("volumeMounts") or []:
        name, wanted = str(mount["name"]), str(mount.get("mountPath", ""))
        inner = expanded(str(mount["subPathExpr"])) if mount.get("subPathExpr") else str(mount.get("subPath") or "")
        real = _inside(where[name], inner)
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


def _place(directory: Path, volume: Mapping[str, Any], claims: Mapping[str, Path]) -> Path:
    if host := volume.get("hostPath"):
        return _on_the_machine(str(volume["name"]), host)
    if claim := volume.get("persistentVolumeClaim"):
        name = str(claim.get("claimName", ""))
        if name not in claims:
            raise ConfigProblem(
                f'MountVolume.SetUp failed for volume "{volume["name"]}" : persistentvolumeclaim "{name}" is not bound'
            )
        found = claims[name]
    else:
        found = directory / "volumes" / str(volume["name"])
    found.mkdir(parents=True, exist_ok=True)
    return found


def _on_the_machine(volume: str, host: Mapping[str, Any]) -> Path:
    path, kind = Path(str(host.get("path", ""))), str(host.get("type") or "")
    if kind == "DirectoryOrCreate":
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    if kind == "FileOrCreate":
        path.touch(mode=0o644)
    if not _HOST_CHECKS.get(kind, Path.exists)(path):
        raise ConfigProblem(
            f'MountVolume.SetUp failed for volume "{volume}" : hostPath type check failed: {path} is not a {kind}'
        )
    return path


def _inside(volume: Path, inner: str) -> Path:
    """What a subPath leads to, made as a directory when it is not there."""
    if os.path.isabs(inner) or ".." in Path(inner).parts:
        raise ConfigProblem(f"subPath {inner!r} leads out of the volume")
    found = volume / inner
    if not found.exists():
        found.mkdir(parents=True)
    return found


def write(target: Path, files: Mapping[str, File]) -> None:
    """Files that are as they should be are left alone: whoever watches them sees changes only."""
    stale = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} - set(files)
    for name in stale:
        (target / name).unlink()
    for name, file in files.items():
        path = target / name
        if _holds(path, file):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(file.content)
        temporary.chmod(file.mode)
        temporary.replace(path)


def _holds(path: Path, file: File) -> bool:
    if not path.is_file() or path.stat().st_mode & 0o777 != file.mode:
        return False
    return os.access(path, os.R_OK) and path.read_bytes() == file.content
