"""What to do next once a cluster runs, as lines that can be copied into a shell from where the user stands.

Pure. In: what runs, where its data is, where the user is. Out: text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from graylane.cli.datadir import Running

_READY = """\
Graylane is {what}.
  kubeconfig  {kubeconfig}
  gateway     {gateway}
Next:
  export KUBECONFIG={exported}
  kubectl apply -f …        your manifests, or {examples}
  {curl} {gateway}
  graylane status -w"""
_FOREGROUND = "Ctrl-C stops it; its objects are kept for the next `{up}`."
_BACKGROUND = "Stop it with `{down}`; its objects are kept for the next `{up}`."


@dataclass(frozen=True, slots=True)
class Place:
    """`data` is the cluster's directory, `default` the one that verbs use unless they are told another."""

    data: Path
    default: Path
    examples: Path
    here: Path
    proxied: bool = False  # curl would ask another for our gateway

    def command(self, verb: str) -> str:
        """The verb, with --data only where it is needed."""
        return f"graylane {verb}" if self.data == self.default else f"graylane {verb} --data {quote(str(self.data))}"

    @property
    def shown_examples(self) -> str:
        below = self.examples.is_relative_to(self.here)
        return quote(str(self.examples.relative_to(self.here) if below else self.examples))


def ready(running: Running, what: str, place: Place, *, background: bool) -> str:
    """The whole message; `what` says whether it was started or ran already."""
    head = _READY.format(
        what=what,
        kubeconfig=running.kubeconfig,
        gateway=running.gateway,
        curl="curl --noproxy '*'" if place.proxied else "curl",
        exported=quote(running.kubeconfig),
        examples=place.shown_examples,
    )
    end = _BACKGROUND if background else _FOREGROUND
    return head + "\n" + end.format(up=place.command("up"), down=place.command("down"))
