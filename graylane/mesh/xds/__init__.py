"""How configuration reaches Envoy: the protocol without I/O, and the server around it. Nothing is exported here."""
