"""The identities of programs: ServiceAccount tokens, issued, read again, and kept in Secrets.

Start at `claims.py` (what a token says), `accounts.py` (whether it still holds).
"""
