"""Ways to route: one module per kind of network object, and the refusal of those that have no module.

Pure. In: the name of a provider in an entry of `spec.objectRef`. Out: why it cannot be used.
"""

from __future__ import annotations


def refusal(provider: str) -> str:
    """What to do instead of a provider that OpenKruise has and we do not."""
    return f"{provider} is not supported; use customNetworkRefs"
