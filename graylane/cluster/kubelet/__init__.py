"""Pods as processes: `agent.Kubelet` is the way in, `lifecycle` a pod's whole life. Nothing is exported here. Pure."""
