"""Where this machine keeps the certificates of the authorities it trusts.

Shell. In: nothing. Out: a path, "" where there is none. As Istio's agent does, the places of the usual systems are
tried, after what OpenSSL is told (`SSL_CERT_FILE`).
"""

from __future__ import annotations

import ssl
from pathlib import Path

_USUAL = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",  # macOS
)


def of_this_machine() -> str:
    told = ssl.get_default_verify_paths().cafile
    return next((path for path in (told, *_USUAL) if path and Path(path).is_file()), "")
