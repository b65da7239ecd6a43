"""The Kubernetes Gateway API, as Istio 1.23 reads it: its objects become Istio's own. Pure.

Istio translates in memory; here the results are objects like any other, so that they are confirmed, explained, proved
and cleared away like any other. `backends` finds what a rule leads to, `rules` turns one rule into Istio's, `attach`
says which route belongs to which listener, `objects` puts them together, `status` tells, `controller` keeps it so.
"""
