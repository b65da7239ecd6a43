"""A rig for any Kubernetes API, and a way to start ours: scenarios written once judge every implementation."""
