"""See the modules of this package; nothing is exported here. Pure."""
