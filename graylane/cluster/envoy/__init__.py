"""The one Envoy of the embedded cluster: found, configured, supervised, and shown as the ingress gateway's pod.

Shell. In: `EnvoyConfig`, a client. Out: a running Envoy and its objects in `istio-system`.
"""

from graylane.cluster.envoy.config import EnvoyConfig
from graylane.cluster.envoy.supervisor import EnvoySupervisor

__all__ = ["EnvoyConfig", "EnvoySupervisor"]
