"""A pod's way to the API, as the service account that it runs as.

Pure. In: the pod, where the API is, a token. Out: the files that Kubernetes puts into the directory
`/var/run/secrets/kubernetes.io/serviceaccount`, and a kubeconfig of them. Processes share the machine's files, so
nothing can be at that path: the variable `KUBECONFIG` names the files instead, which most clients look at. Pods that
run as nobody in particular (`default`) get none.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from graylane.client.config import ApiConfig
from graylane.cluster.kubelet.contents import File, Wish
from graylane.model.meta import Obj, dig, namespace_of

WISH = Wish("", 3607)  # as Kubernetes asks for it: an hour and a little
VARIABLE = "KUBECONFIG"
CONFIG = "kubeconfig"
_NOBODY = ("", "default")
_SECRET = 0o600


def wants_access(pod: Obj) -> bool:
    named = dig(pod, "spec", "serviceAccountName", default="") not in _NOBODY
    return named and dig(pod, "spec", "automountServiceAccountToken", default=True) is not False


def access_files(pod: Obj, api: ApiConfig, token: str, directory: Path) -> dict[str, File]:
    """What goes into `directory`. The kubeconfig names the token's file, so that a renewed token is found."""
    cluster = {"server": api.server, "certificate-authority": str(directory / "ca.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "graylane", "cluster": cluster}],
        "users": [{"name": "pod", "user": {"tokenFile": str(directory / "token")}}],
        "contexts": [
            {"name": "pod", "context": {"cluster": "graylane", "user": "pod", "namespace": namespace_of(pod)}},
        ],
        "current-context": "pod",
    }
    return {
        "ca.crt": File(api.ca_data or b""),
        "namespace": File(namespace_of(pod).encode()),
        "token": File(token.encode(), _SECRET),
        CONFIG: File(yaml.safe_dump(document, sort_keys=False).encode()),
    }
