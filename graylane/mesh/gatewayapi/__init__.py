"""The Kubernetes Gateway API, as Istio 1.23 reads it: its objects become Istio's own. Pure.

Istio translates in memory; here the results are objects like any other, so that they are confirmed, explained, proved
and cleared away like any other. `listeners` says what a Gateway opens, with `certificates`, and `ports` where it is
reached; `routes` there are, `attach` says which belongs to which listener, `backends` what a rule leads to, where
`grants` permit it, `rules` what a rule becomes; `objects` puts them together, `status` tells, `controller` keeps it so.
"""
