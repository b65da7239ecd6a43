"""Ways to route: what is special about each kind of network object.

Pure. In: a TrafficRouting's wish and the objects it names. Out: what scripts get, and what is to be made beside them.
"""
