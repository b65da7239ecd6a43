"""Who may do what: RBAC as Kubernetes evaluates it. Pure but for `authorizer.py` and `aggregator.py`.

Start at `policy.py` (the decision), `authorizer.py` (where the rules come from), `defaults.py` (the built-in roles).
"""
