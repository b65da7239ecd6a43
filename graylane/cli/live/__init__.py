"""`graylane status -w` on a terminal: the chain drawn in place, with keys.

`terminal` puts the screen into its mode and back again however we end, `keys` decides what a key means, `page` lays a
screen out, `session` puts them together; `step_diff` and `tracing` are what `d` and `t` show.
"""
