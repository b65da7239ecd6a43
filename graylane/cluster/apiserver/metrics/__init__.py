"""`metrics.k8s.io`: what pods and nodes use, measured by asking kubelets; what metrics-server is in other clusters."""
