"""`graylane plan`: a release rehearsed in memory by the controllers' own functions, before anything runs.

`before` gets the objects as they are and as the manifests will make them, `rehearsal` plays the release on them,
`moments` says what differs between two moments, `text` tells it.
"""
