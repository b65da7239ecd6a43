"""Graylane releases new versions of a chain of services to a slice of requests.

Pure. The package itself exports only its version; see `docs/map.md` for where things are.
"""

__version__ = "0.1.0"
