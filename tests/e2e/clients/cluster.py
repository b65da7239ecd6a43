"""What client tests share: where the server is, and the least of a client of their own to set the scene with.

Shell (HTTP, blocking). In: a directory with a kubeconfig. Out: `Cluster`.
"""

from __future__ import annotations

import base64
import json
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from graylane.testing.api.objects import widget_crd

INSTALL = "not installed: pip install 'graylane[clients]'"


@dataclass(frozen=True, slots=True)
class Cluster:
    directory: Path
    server: str
    token: str
    ca: bytes

    @staticmethod
    def of(directory: Path) -> Cluster:
        document = yaml.safe_load((directory / "kubeconfig").read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        ca = base64.b64decode(cluster["certificate-authority-data"])
        return Cluster(directory, cluster["server"], user["token"], ca)

    @property
    def kubeconfig(self) -> str:
        return str(self.directory / "kubeconfig")

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.send("POST", path, body)

    def merge(self, path: str, patch: Any) -> Any:
        """Whatever others write meanwhile: a merge patch names no version."""
        return self.send("PATCH", path, patch, "application/merge-patch+json")

    def send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Raises `urllib.error.HTTPError` for anything but success."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        context = ssl.create_default_context(cadata=self.ca.decode())
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return json.loads(answer.read())

    def define_widgets(self, group: str) -> str:
        self.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", widget_crd(group))
        return group
