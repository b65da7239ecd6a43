"""How the API's own kinds are printed: definitions, webhooks, leases, priority classes.

Pure. In: objects and now. Out: cells.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import Printer, age, columns, count
from graylane.cluster.apiserver.schema.printers.config import created
from graylane.model.meta import Obj, dig, name_of


def webhooks(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), count(obj.get("webhooks")), age(obj, now)]


def lease(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), dig(obj, "spec", "holderIdentity", default=""), age(obj, now)]


def priority_class(obj: Obj, now: datetime) -> list[Any]:
    policy = obj.get("preemptionPolicy", "")
    return [name_of(obj), obj.get("value", 0), bool(obj.get("globalDefault")), age(obj, now), policy]


_WEBHOOKS = Printer(columns("Name", "integer:Webhooks", "Age"), webhooks)
PRINTERS = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Printer(columns("Name", "date:Created At"), created),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _WEBHOOKS,
    ("coordination.k8s.io", "Lease"): Printer(columns("Name", "Holder", "Age"), lease),
    ("scheduling.k8s.io", "PriorityClass"): Printer(
        columns("Name", "integer:Value", "boolean:Global-Default", "Age", "PreemptionPolicy"), priority_class
    ),
}
