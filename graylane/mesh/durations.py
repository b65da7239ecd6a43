"""Durations as Istio's objects write them, under the name the mesh's parts know. Pure."""

from graylane.model.durations import seconds

__all__ = ["seconds"]
