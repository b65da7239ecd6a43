"""The client's public names: everything else reaches API servers through these.

Shell. In: a kubeconfig. Out: `ApiClient`.
"""

from graylane.client.config import ApiConfig, in_cluster, load_kubeconfig
from graylane.client.http import ApiClient
from graylane.client.wire import ObjectList, WatchEvent

__all__ = ["ApiClient", "ApiConfig", "ObjectList", "WatchEvent", "in_cluster", "load_kubeconfig"]
