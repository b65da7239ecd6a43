"""One verb, one file; `table.VERBS` names them all."""
