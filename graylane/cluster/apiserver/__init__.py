"""The embedded Kubernetes API server: what it serves behaves as kube-apiserver does, the rest is refused by name.

Start at `server.py` (the process), `api.py` (one request), `pipeline.py` (one write), `resources.py` (what is served).
"""
