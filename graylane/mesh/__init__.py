"""Istio's routing objects, compiled for one real Envoy. Nothing is exported here. Pure.

`inputs` and `read` say what is read, `compile` what Envoy shall do, `encode` how Envoy spells it, `xds` how it gets
there, `simulate` where a request would go, `controller` ties them to the API.
"""
