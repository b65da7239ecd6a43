"""What the mesh tells over HTTP, and how it is found: as istiod's debug interface, through the API's pod proxy.

`istiod` has the objects by which others find it, `presence` keeps them in the API, `server` answers.
"""
