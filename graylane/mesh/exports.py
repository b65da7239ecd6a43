"""Who sees what does not say itself to whom it is exported: the mesh-wide defaults.

Pure. In: nouns as read, the `MeshConfig`. Out: the same nouns with the default where they say nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from graylane.mesh.inputs import Config, DestinationRule, MeshConfig, Service, ServiceEntry, VirtualService

T = TypeVar("T", bound=Config)


def exported(config: T, mesh: MeshConfig) -> T:
    """What was written is in its spec, so this may be asked again when the defaults change."""
    written = tuple(map(str, config.spec.get("exportTo") or ()))
    if isinstance(config, VirtualService):
        return _to(config, written or mesh.export_virtual_services)
    if isinstance(config, DestinationRule):
        return _to(config, written or mesh.export_destination_rules)
    if isinstance(config, ServiceEntry):
        return _entry(config, written or mesh.export_services)
    return config


def _to(config: T, scopes: tuple[str, ...]) -> T:
    return config if config.export_to == scopes else replace(config, export_to=scopes)


def _entry(entry: T, scopes: tuple[str, ...]) -> T:
    if entry.export_to == scopes or not isinstance(entry, ServiceEntry):
        return entry
    services = tuple(replace(service, export_to=scopes) for service in entry.services)
    return replace(entry, export_to=scopes, services=services)


def service(found: Service, written: tuple[str, ...], mesh: MeshConfig) -> Service:
    """`written` is what its annotation says."""
    scopes = written or mesh.export_services
    return found if found.export_to == scopes else replace(found, export_to=scopes)
