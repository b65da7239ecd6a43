"""TrafficRouting: the lane's routes, put in when canary pods are ready and taken out before they go.

Shell (its parts say which are pure). In: TrafficRouting objects and what they refer to. Out: `controllers`, see
`graylane.trafficrouting.controller`.
"""
