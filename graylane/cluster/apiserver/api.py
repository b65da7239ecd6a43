"""The door through which every request comes.

Shell, without sockets. In: `Request`. Out: `Reply` or `Stream`; whatever goes wrong becomes a
`Status`, never a traceback.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from graylane.cluster.apiserver import auth, failures, paths, reviews
from graylane.cluster.apiserver.authorization import attributes
from graylane.cluster.apiserver.authorization.impersonation import acting
from graylane.cluster.apiserver.context import Api, Call
from graylane.cluster.apiserver.documents import Documents
from graylane.cluster.apiserver.exchange import Answer, Reply, Request, User
from graylane.cluster.apiserver.failures import PageNotFound
from graylane.cluster.apiserver.metrics.answers import HANDLERS as MEASURING
from graylane.cluster.apiserver.paths import Target
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.subresources.table import SUBRESOURCES, Handler
from graylane.cluster.apiserver.verbs.table import VERBS, verb_of
from graylane.errors import ApiError, BadRequest, InternalError
from graylane.model.kinds import CRD
from graylane.model.meta import Key, is_deleting

log = logging.getLogger(__name__)

_BYTES_IN_WARNING = 4096
_STREAMS = ("attach", "exec", "portforward")  # begin with a GET, but do more than look: Kubernetes wants `create`


class Front:
    """Authenticates, finds the handler, answers. One instance per server."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._documents = Documents(api.registry, api.config.git_version, api.issuer)

    async def handle(self, request: Request) -> Answer:
        try:
            return await self._answer(request)
        except ApiError as error:
            if request.method not in ("GET", "HEAD"):
                await self._api.store.settled()
            return failure(error)
        except RecursionError:
            return failure(BadRequest("the object is nested too deep"))
        except Exception:
            log.exception("A request failed in a way nobody foresaw", extra={"path": request.path})
            return failure(InternalError("Internal error occurred: the server met a bug of its own; its log says more"))

    async def _answer(self, request: Request) -> Answer:
        if auth.is_open(request.path) and request.method in ("GET", "HEAD"):
            return self._documents.answer(request)
        user = self._user(request)
        target = paths.parse(request.path)
        if target is None:
            return self._document(request, user)
        if request.method == "HEAD":  # would be a GET, or even a watch, whose body nobody expects
            raise failures.not_allowed()
        verb = _verb(request, target)
        self._api.authorizer.require(user, attributes.of_target(target, verb, request.query))
        review = reviews.find(target)
        if review is not None and request.method == "POST":
            return reviews.answer(self._api, review, target, request, user)
        return await self._resource(request, target, verb, user)

    def _user(self, request: Request) -> User:
        user = self._api.authenticator.authenticate(request.headers.get("authorization", ""))
        return acting(user, request.headers, self._api.authorizer)

    def _document(self, request: Request, user: User) -> Reply:
        self._api.authorizer.require(user, attributes.of_path(request.method, request.path))
        answer = self._documents.answer(request)
        if request.method not in ("GET", "HEAD"):
            raise failures.not_allowed()
        return answer

    async def _resource(self, request: Request, target: Target, verb: str, user: User) -> Answer:
        resource = self._find(target)
        handler = _handler(resource, target, verb)
        if resource.namespaced and verb != "list" and verb != "watch" and not target.namespace:
            raise BadRequest(f"{resource.store} are namespaced: name the namespace in the path")
        call = Call(self._api, request, target, resource, user)
        if target.subresource in _STREAMS:
            call.require("create")
        self._warn_of_age(call)
        if verb == "create":
            self._require_not_ending(call)
        return with_warnings(await handler(call), call.warnings)

    def _find(self, target: Target) -> Resource:
        resource = self._api.registry.find(target.group, target.version, target.plural)
        if resource is None or (target.namespace and not resource.namespaced and target.plural != "namespaces"):
            raise failures.no_such_path(target.path)
        return resource

    def _warn_of_age(self, call: Call) -> None:
        """Whatever is asked of a version that is on its way out is answered with a warning, too."""
        custom = self._api.registry.custom(call.resource)
        if text := call.resource.deprecated or (custom.deprecation if custom else ""):
            call.warn(text)

    def _require_not_ending(self, call: Call) -> None:
        """A kind that is being removed takes no new objects, else its removal would never end."""
        if not call.resource.custom:
            return
        crd = self._api.store.get(str(CRD), Key("", call.resource.store))
        if crd is not None and is_deleting(crd.obj):
            raise failures.definition_ending(call.resource, call.target.name)


def _verb(request: Request, target: Target) -> str:
    watching = request.query.flag("watch") and not target.subresource
    return verb_of(request.method, named=bool(target.name), watching=watching)


def _handler(resource: Resource, target: Target, verb: str) -> Handler:
    if resource.measured:
        handler = MEASURING.get(verb) if not target.subresource else None
    elif target.subresource:
        handler = SUBRESOURCES.get((target.subresource, verb)) if resource.has(target.subresource) else None
        if handler is None and not resource.has(target.subresource):
            raise failures.not_found(resource, target.name) if resource.custom else failures.no_such_path(target.path)
    else:
        handler = VERBS.get(verb) if target.name or verb not in ("update", "patch") else None
    if handler is None:
        raise failures.not_allowed()
    return handler


def failure(error: ApiError) -> Reply:
    if isinstance(error, PageNotFound):
        return Reply(error.http_code, error.page, "text/plain; charset=utf-8")
    return Reply.json(error.to_status(), error.http_code, _retry_after(error))


def _retry_after(error: ApiError) -> tuple[tuple[str, str], ...]:
    """After a second, unless the error says when; clients take the header for an order to try again by themselves.

    A disruption budget that is used up names a cause and no time: whoever evicts decides whether to wait.
    """
    details = error.details or {}
    seconds = details.get("retryAfterSeconds", 0 if details.get("causes") else 1)
    return (("Retry-After", str(seconds)),) if error.http_code in (429, 503, 504) and seconds else ()


def with_warnings(answer: Answer, warnings: list[str]) -> Answer:
    """`Warning: 299 - "text"` headers, which kubectl prints; cut off before they outgrow a header block."""
    if not warnings or not isinstance(answer, Reply):
        return answer
    headers, size = list(answer.headers), 0
    for text in warnings:
        size += len(text)
        if size <= _BYTES_IN_WARNING:
            headers.append(("Warning", f'299 - "{_quoted(text)}"'))
    return replace(answer, headers=tuple(headers))


def _quoted(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')
