"""What `compile` decided, in Envoy's protobuf. Nothing is exported here. Pure."""
