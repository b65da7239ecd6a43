"""An explanation as lines of at most 80 columns, hop after hop in the order of the calls.

Pure. In: `Explained`. Out: lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from graylane.chain.problems import Confirmation
from graylane.mesh.explain.hop import Destination, Hop, Pod
from graylane.mesh.explain.rules import Passed
from graylane.mesh.explain.walk import Explained, Refused
from graylane.mesh.simulate import Refusal

WIDTH = 80
_LABEL = 14
_MANY = 5
_PREDICTED = "Predicted from the objects as stored; {}."
_ROUTES = {
    Confirmation.CONFIRMED: "every proxy has confirmed the rules above",
    Confirmation.ASKED: "a proxy has not confirmed the rules above yet",
    Confirmation.CANNOT_TELL: "the mesh does not report whether its proxies have them yet",
}
_ASSUMED = (
    "Assumed: each service passes on the headers that it receives, "
    "and calls what its pods' environment and arguments name; `graylane verify` tries that."
)
_UNKNOWN = "An EnvoyFilter's own code may change a request; what it does is not known here."


def lines(found: Explained) -> list[str]:
    hops = [_hop(number, hop) for number, hop in enumerate(found.walk(), 1)]
    parts = list(filter(None, (*hops, _footer(found))))
    return [line for part in parts[:-1] for line in (*part, "")] + parts[-1]


def refused_line(refused: Refused) -> str:
    """One line for stderr and logs."""
    share = "" if refused.percent >= 100 else f"{refused.percent:g} % of such requests: "
    where = f" of {refused.authority}" if refused.authority else ""
    return f"refused at hop {refused.hop}{where}: {share}{_refusal(refused.refusal)}"


def _footer(found: Explained) -> list[str]:
    hops = list(found.walk())
    told = [_PREDICTED.format(_ROUTES[found.routes])] if any(hop.sources for hop in hops) else []
    if any(hop.calls for hop in hops):
        told.append(_ASSUMED)
    if any(hop.not_evaluated or any(map(_changes, hop.destinations)) for hop in hops):
        told.append(_UNKNOWN)
    return [line for text in told for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False)]


def _changes(destination: Destination) -> bool:
    return any(pod.changed_by for pod in destination.pods)


def _hop(number: int, hop: Hop) -> list[str]:
    callers = hop.callers[0] + (f" and {len(hop.callers) - 1} more like it" if len(hop.callers) > 1 else "")
    told = textwrap.wrap(f"{number} {callers}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    for label, texts in _rows(hop):
        for index, text in enumerate(texts):
            told += _row("" if index else label, text)
    return told


def _rows(hop: Hop) -> Iterator[tuple[str, Iterable[str]]]:
    request = hop.request
    yield "request", [f"{request.method} {request.authority}{request.path}"]
    yield "headers", [f"{name}: {value}" for name, value in request.headers]
    yield "listener", [hop.listener + (f", opened by {', '.join(hop.opened_by)}" if hop.opened_by else "")]
    yield "stripped", [f"{name}: {value}, by the spoof guard" for name, value in hop.stripped]
    yield "virtual host", [hop.virtual_host]
    yield "not evaluated", hop.not_evaluated
    yield "passed over", map(_passed, hop.passed)
    yield "decided by", [_decided(hop)]
    yield "fault", [hop.fault]
    for destination in hop.destinations:
        yield "sent to", [_destination(destination)]
        yield "answered by", _pods(destination.pods)
        yield "refused", [_refusal(destination.refusal) if destination.refusal else ""]
        yield "to do", [destination.advice]
    yield "answer", [hop.answer]
    yield "refused", [_refusal(hop.refusal) if hop.refusal else ""]
    yield "to do", [hop.advice]


def _row(label: str, text: str) -> list[str]:
    if not text:
        return []
    start = "  " + label.ljust(_LABEL)
    return textwrap.wrap(start + text, WIDTH, subsequent_indent=" " * len(start), break_on_hyphens=False)


def _decided(hop: Hop) -> str:
    if hop.rule:
        return f"{hop.rule}: {hop.wants}"
    return "no VirtualService; the Service itself" if hop.destinations else ""


def _passed(passed: Passed) -> str:
    why = "; ".join(f"{each.condition} (seen: {each.seen})" for each in passed.unmet)
    return f"{passed.rule}: wants {why}"


def _destination(destination: Destination) -> str:
    share = "" if destination.percent >= 100 else f"{destination.percent:.3g} %: "
    told = f"{share}Service {destination.service}, port {destination.port}"
    if not destination.subset:
        return told
    labels = ",".join(f"{name}={value}" for name, value in destination.labels.items())
    rules = f" of {', '.join(destination.rules)}" if destination.rules else ""
    return f"{told}, subset {destination.subset}{rules}" + (f" ({labels})" if labels else "")


def _pods(pods: tuple[Pod, ...]) -> Iterator[str]:
    for pod in pods[:_MANY]:
        changed = f"; {', '.join(pod.changed_by)} changes requests there" if pod.changed_by else ""
        version = f", version {pod.version}" if pod.version else ""
        yield (pod.name or pod.address) + version + _labelled(pod) + changed
    if len(pods) > _MANY:
        yield f"and {len(pods) - _MANY} more pods"


def _labelled(pod: Pod) -> str:
    """Where its labels, by which it was chosen, say another version than it does itself."""
    others = [f"{name}={value}" for name, value in pod.labels.items() if value != pod.version]
    return f" (labelled {', '.join(others)})" if others else ""


def _refusal(refusal: Refusal) -> str:
    return " ".join(filter(None, (str(refusal.status or ""), refusal.flag, refusal.details)))
