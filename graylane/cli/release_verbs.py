"""Carries out one release verb on several Rollouts: all are checked before any is changed.

Shell. In: a verb from `releasing.py`, names, a scope. Out: one line per Rollout, or the Rollout itself. A patch that
meets a newer version is tried again only if the revision and the step are still those that were decided on.
"""

from __future__ import annotations

from dataclasses import dataclass

from orjson import dumps, loads

from graylane.cli.connect import connect
from graylane.cli.exits import Refused
from graylane.cli.naming import rollout_named
from graylane.cli.options import Scope, Shape
from graylane.cli.output import Objects, progress
from graylane.cli.releasing import Seen, Verb, parse_name
from graylane.cli.watching import until
from graylane.client import ApiClient
from graylane.errors import ApiError, Conflict
from graylane.model.kinds import ROLLOUT
from graylane.model.managers import verbs_of
from graylane.model.meta import Key, Obj, condition, dig, name_of

_KIND = "rollout.rollouts.kruise.io"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """What to do to which Rollouts; `revision` and `step` bind it to what the user has seen elsewhere.

    `afterwards` tells what follows by itself; it is said only once the wish was granted.
    """

    verb: Verb
    names: tuple[str, ...]
    revision: str = ""
    step: int = 0
    afterwards: str = ""


async def carry_out(wish: Wish, scope: Scope, wait_seconds: float | None = None, shape: Shape = Shape.TEXT) -> None:
    """Of who waits, objects are printed as they are in the end."""
    shown, in_the_end = Objects(shape, _KIND), wait_seconds is not None and shape is not Shape.TEXT
    async with connect(scope) as (client, namespace):
        read = [await rollout_named(client, parse_name(name), namespace) for name in wish.names]
        for rollout in read:
            _check(wish, rollout)
        changed = []
        for rollout in read:
            now, says = await _change(client, wish, rollout)
            changed.append(now)
            if in_the_end:
                progress(says)
            else:
                shown.show(now, says)
        if wish.afterwards:
            progress(wish.afterwards)
        if wait_seconds is not None:
            for rollout in changed:
                shown.show(*await _wait(client, rollout, wait_seconds))


async def grant(client: ApiClient, namespace: str, wish: Wish) -> list[str]:
    """The same for whoever has a client and a screen of his own: out comes what there is to say."""
    read = [await rollout_named(client, name, namespace) for name in wish.names]
    for rollout in read:
        _check(wish, rollout)
    return [(await _change(client, wish, rollout))[1] for rollout in read]


def _check(wish: Wish, rollout: Obj) -> None:
    seen = Seen.of(rollout)
    if wish.revision and wish.revision != seen.revision:
        raise Refused(f'rollout "{name_of(rollout)}" now releases revision {seen.revision}, not {wish.revision}')
    if wish.step and wish.step != seen.step:
        raise Refused(f'rollout "{name_of(rollout)}" is in step {seen.step}, not in step {wish.step}')
    wish.verb(rollout)


async def _change(client: ApiClient, wish: Wish, rollout: Obj) -> tuple[Obj, str]:
    """What it is now, and the line that says what was done."""
    decided, manager = Seen.of(rollout), verbs_of(await _user(client))
    key = Key(rollout["metadata"]["namespace"], name_of(rollout))
    for _ in range(_TRIES):
        change = wish.verb(rollout)
        try:
            changed = await client.patch(
                ROLLOUT, key.name, key.namespace, change.patch, subresource=change.subresource, manager=manager
            )
        except Conflict:
            rollout = await client.get(ROLLOUT, key.name, key.namespace)
            if Seen.of(rollout) != decided:
                raise Refused(
                    f'rollout "{key.name}" changed meanwhile: it now releases revision {Seen.of(rollout).revision}, '
                    f"step {Seen.of(rollout).step}; look at it with `graylane status {key.name}` and decide again"
                ) from None
            continue
        return changed, change.says
    raise Conflict(f'rollout "{key.name}" changes too fast to be patched; try again')


async def _user(client: ApiClient) -> str:
    """As whom the API knows us, so that a history can name who approved; "" where it does not say."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await client.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=dumps(body))
    except ApiError:
        return ""
    return str(dig(loads(answer), "status", "userInfo", "username", default=""))


async def _wait(client: ApiClient, rollout: Obj, seconds: float) -> tuple[Obj, str]:
    """Until the release has ended, one way or the other."""
    name = name_of(rollout)
    final = await until(client, ROLLOUT, rollout, _is_over, seconds, f"the end of rollout {name}'s release")
    succeeded = condition(final, "Succeeded") or {}
    word = "succeeded" if succeeded.get("status") == "True" else "was rolled back"
    detail = succeeded.get("message") or dig(final, "status", "message", default="")
    return final, f"{_KIND}/{name} {word}: {detail}"


def _is_over(rollout: Obj) -> bool:
    return dig(rollout, "status", "phase") == "Healthy" and condition(rollout, "Succeeded") is not None
