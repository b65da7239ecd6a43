"""Why a request goes where it goes: what `simulate` decides, with the reason for every turn, in words of the objects.

`words` says what a rule asks for and which of it a request lacks, `rules` which rules came before the one that decides,
`advice` what would make a refused request pass; `hop` puts one hop together, `walk` all hops of a chain.
"""
