"""From `Inputs` to what Envoy shall do. Nothing is exported here. Pure."""
