"""What istiod's webhook would say about an Istio object: errors that refuse it, warnings that do not. Pure.

`checks` are the parts that kinds share; each kind has its own module; `judging` finds it. A reference to something that
does not exist is no error: it may be created later.
"""
