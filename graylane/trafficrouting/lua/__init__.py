"""Runs users' Lua scripts where they can do no harm.

Shell. In: a script and an object. Out: `LuaPool`, whose workers are processes that the parent kills when they overstay.
"""
