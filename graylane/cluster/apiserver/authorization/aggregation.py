"""ClusterRoles that are made of others.

Pure. In: all ClusterRoles. Out: for each with an `aggregationRule`, the rules it should have: those of every role that
one of its selectors matches, in the order of their names, each once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graylane.cluster.apiserver.authorization.policy import rules_of
from graylane.model.meta import Obj, dig, labels_of, name_of
from graylane.model.selectors import LabelSelector


def changes(roles: Iterable[Obj]) -> Iterator[tuple[str, list[Obj]]]:
    """(name, rules) of every aggregated role whose rules are not what its parts say."""
    known = sorted(roles, key=name_of)
    for role in known:
        if role.get("aggregationRule"):
            rules = gathered(role, known)
            if rules != (role.get("rules") or []):
                yield name_of(role), rules


def gathered(role: Obj, roles: Iterable[Obj]) -> list[Obj]:
    selectors = dig(role, "aggregationRule", "clusterRoleSelectors", default=[])
    wanted = [LabelSelector.of(selector) for selector in selectors]
    parts = [part for part in roles if name_of(part) != name_of(role)]
    chosen = [part for part in parts if any(selector.matches(labels_of(part)) for selector in wanted)]
    rules = dict.fromkeys(rule for part in chosen for rule in rules_of(part))
    return [rule.to_obj() for rule in rules]
