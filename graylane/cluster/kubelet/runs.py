"""Turns a container's spec into something to execute: command, environment, directory, volumes.

Shell. In: the pod, one container, the services. Out: a `Launch`, or `CannotRun` with the reason a user will see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graylane.cluster.kubelet import proxies, volumes
from graylane.cluster.kubelet.downward import ConfigProblem
from graylane.cluster.kubelet.environment import environment, expand, expand_all, sources_of
from graylane.cluster.kubelet.images import Image, unknown_image
from graylane.cluster.kubelet.mounting import access_variables, existing, mounted, place_of
from graylane.cluster.kubelet.services import Services, inherited_environment
from graylane.cluster.network.entry import entry, write_resolver
from graylane.cluster.processes.child import Launch
from graylane.errors import UserError
from graylane.model.meta import Obj, dig, name_of, namespace_of

Spec = Mapping[str, Any]
TERMINAL = {"TERM": "xterm"}  # what container runtimes say of the terminals they make


class CannotRun(Exception):
    """`reason` is the container's waiting reason; trying again later may help."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def launch_for(services: Services, pod: Obj, ip: str, container: Spec) -> tuple[Launch, tuple[str, ...]]:
    """What to execute, and notes for the user. Raises `CannotRun`, or an `ApiError` when the API is away."""
    image = _image(services, container)
    terminal = bool(container.get("tty"))
    objects = await existing(services.client, namespace_of(pod), sources_of(container))
    base = base_environment(services, pod, ip) | dict(image.env) | (TERMINAL if terminal else {})
    place = place_of(services, ip)
    try:
        where = await mounted(services, pod, ip)
        plain = environment(pod, container, place, objects, base)
        mounts = volumes.mounts(container, where, lambda text: expand(text, plain))
        cwd = _working_directory(services.pod_directory(pod), image, container, mounts)
        access = access_variables(services, pod)
        env = environment(pod, container, place, objects, base | access | dict(mounts.env))
    except ConfigProblem as problem:
        mount = str(problem).startswith("MountVolume")
        raise CannotRun("ContainerCreating" if mount else "CreateContainerConfigError", str(problem)) from problem
    except OSError as error:
        raise CannotRun("CreateContainerError", str(error)) from error
    launch = Launch(_words(image, container, env), env, cwd, bool(container.get("stdin")), terminal)
    return replace(launch, through=_into_network(services, pod, ip)), mounts.notes


def _into_network(services: Services, pod: Obj, ip: str) -> tuple[str, ...]:
    """What leads a process of the pod into the pod's own network; nothing where pods share the node's."""
    keeper = services.network_of(pod)
    if keeper is None:
        return ()
    resolver = services.pod_directory(pod) / "resolv.conf"
    write_resolver(resolver, str(keeper.network.host_address), namespace_of(pod))
    name = dig(pod, "spec", "hostname") or name_of(pod)
    return entry(keeper.network.path(ip), resolver, name)


def base_environment(services: Services, pod: Obj, ip: str) -> dict[str, str]:
    """What every container gets before its own variables, which win.

    The proxy is named in both cases: curl reads only the lower-case one, some clients only the other. Other pods'
    addresses are loopback too and must go through the proxy, so `no_proxy` names 127.0.0.1 alone and no range.
    """
    env = inherited_environment() | {"HOSTNAME": name_of(pod), "POD_IP": ip}
    if services.config.proxy_port is not None:
        proxy = f"http://{ip}:{services.config.proxy_port}"
        exempt = "127.0.0.1,localhost"
        env |= {"http_proxy": proxy, "HTTP_PROXY": proxy, "no_proxy": exempt, "NO_PROXY": exempt}
        env |= proxies.variables()
    return env


def _image(services: Services, container: Spec) -> Image:
    reference = str(container.get("image", ""))
    try:
        image = services.images.catalogue().find(reference)
    except UserError as error:
        raise CannotRun("ErrImagePull", str(error)) from error
    if image is not None:
        return image
    if container.get("command"):
        return Image(reference, ())
    name = str(container.get("name", ""))
    raise CannotRun("ErrImagePull", unknown_image(reference, name, str(services.images.file)))


def _words(image: Image, container: Spec, env: Mapping[str, str]) -> tuple[str, ...]:
    """ENTRYPOINT and CMD as Kubernetes combines them: a command of the pod's own drops the image's args as well."""
    command, args = container.get("command"), container.get("args")
    if command:
        return expand_all([*command, *(args or [])], env)
    return image.command + (expand_all(args, env) if args else image.args)


def _working_directory(directory: Path, image: Image, container: Spec, mounts: volumes.Mounts) -> Path:
    """The container's or image's workingDir, which must exist; else a directory of its own, with relative mounts."""
    wanted = str(container.get("workingDir") or image.working_dir)
    if wanted:
        if not Path(wanted).is_dir():
            raise ConfigProblem(f"workingDir {wanted!r} is not a directory on this machine")
        return Path(wanted)
    own = directory / "containers" / str(container["name"])
    own.mkdir(parents=True, exist_ok=True)
    volumes.link(own, mounts.links)
    return own
