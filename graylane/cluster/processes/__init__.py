"""Child processes that never outlive us, and their logs; shared by the kubelet and the Envoy supervisor. Pure.

`child` starts, signals and reaps; `stdio` reads and feeds; `guardian` kills what is left when we die; `records` sweeps
what both missed; `logfiles` writes and `logreading` reads container logs in Kubernetes' layout.
"""
