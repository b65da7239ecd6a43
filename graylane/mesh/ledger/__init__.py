"""The ledger of requests: what every proxy saw, who answered, and whether services pass the dye on.

`pipe` takes what Envoy writes, `entry` reads a line of it with what `directory` knows of addresses and routes, `book`
keeps it for a while, `links` finds on whose behalf a call was made, `carried` who loses a header; `chain.seen` has the
nouns.
"""
