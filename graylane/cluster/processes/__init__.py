"""Child processes, those that outlive us and those that never do, and their logs; of the kubelet and of Envoy. Pure.

`holder` is a process that keeps others, `holding` our side of it; `child` starts what ends with us; `records` sweeps
what both missed; `stdio` reads and feeds; `logfiles` writes and `logreading` reads logs in Kubernetes' layout.
"""
