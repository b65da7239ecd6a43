"""Whether a lane keeps its promise for every request there can be, and a request for which it does not.

`samples` finds texts on either side of every condition, `classes` one request for each way through a route table,
`lane` says who is dyed and canary, `judge` what may become of whom, `walk` goes through the chain, `words` tells it.
`imagine` gives manifests the pods they ask for, so that what is not running yet can be judged too.
"""
