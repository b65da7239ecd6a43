"""Fixtures that several files share."""

from .town import shared_town, town

__all__ = ["shared_town", "town"]
