"""The scenario's sample service: one hop of a chain, run as a pod; see `service.py`. Nothing is exported here. Pure."""
