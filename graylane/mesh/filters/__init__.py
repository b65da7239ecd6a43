"""EnvoyFilters: what users patch into the generated configuration. Nothing is exported here. Pure."""
