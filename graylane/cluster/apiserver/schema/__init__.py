"""What every kind looks like: schemas, defaults, validation, printing, OpenAPI. Nothing is exported here. Pure."""
