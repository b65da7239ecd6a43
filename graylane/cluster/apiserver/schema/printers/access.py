"""How access rules are printed: roles and their bindings.

Pure. In: objects and now. Out: cells.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import Printer, age, columns
from graylane.cluster.apiserver.schema.printers.config import created
from graylane.model.meta import Obj, name_of


def binding(obj: Obj, now: datetime) -> list[Any]:
    role = obj.get("roleRef") or {}
    reference = f"{role.get('kind', '')}/{role.get('name', '')}"
    return [name_of(obj), reference, age(obj, now), *_subjects(obj)]


def _subjects(obj: Obj) -> list[str]:
    """Users, groups and service accounts, each as one text."""
    texts: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        prefix = f"{subject.get('namespace', '')}/" if subject.get("kind") == "ServiceAccount" else ""
        texts.setdefault(subject.get("kind", ""), []).append(prefix + subject.get("name", ""))
    return [", ".join(texts[kind]) for kind in ("User", "Group", "ServiceAccount")]


_ROLE = Printer(columns("Name", "date:Created At"), created)
_BINDING = Printer(columns("Name", "Role", "Age", "Users+", "Groups+", "ServiceAccounts+"), binding)
PRINTERS = {
    ("rbac.authorization.k8s.io", "Role"): _ROLE,
    ("rbac.authorization.k8s.io", "ClusterRole"): _ROLE,
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
}
