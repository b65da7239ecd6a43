"""When a container has ended for good, and when its pod has.

Pure. In: containers and the pod's restart policy. Out: answers that `lifecycle` acts on and `status` writes down. An
init container that succeeded is done, also under Always; a sidecar (an init container that is to be restarted always)
is never done by itself: it goes with its pod.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.cluster.kubelet.states import Container, Restart, Running, Terminated


def policy(restart: Restart, container: Container) -> Restart:
    """The container's own restart policy under the pod's."""
    if container.sidecar:
        return Restart.ALWAYS
    return Restart.ON_FAILURE if container.init and restart is Restart.ALWAYS else restart


def done(restart: Restart, container: Container) -> bool:
    """It has ended and its policy does not want it back."""
    if not isinstance(container.state, Terminated) or container.busy:
        return False
    own = policy(restart, container)
    return own is Restart.NEVER or (own is Restart.ON_FAILURE and container.state.succeeded)


def completed(restart: Restart, init: Iterable[Container], main: Iterable[Container]) -> bool:
    """The pod has reached Succeeded or Failed and stays there; its sidecars may still run."""
    init_failed = restart is Restart.NEVER and any(done(restart, each) and not succeeded(each) for each in init)
    return init_failed or all(done(restart, container) for container in main)


def succeeded(container: Container) -> bool:
    return isinstance(container.state, Terminated) and container.state.succeeded


def passed(container: Container) -> bool:
    """The next init container may start: this one has succeeded, or, as a sidecar, has started."""
    if container.sidecar:
        return isinstance(container.state, Running) and container.state.started
    return succeeded(container)
