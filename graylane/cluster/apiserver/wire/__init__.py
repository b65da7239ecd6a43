"""What travels: protobuf request bodies, strict JSON, media types. Nothing is exported here. Pure."""
