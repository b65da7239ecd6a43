"""What is particular about each kind when it is created, changed or deleted. `table.strategy_of` is the door. Pure."""
