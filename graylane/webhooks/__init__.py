"""Admission: pure handlers, one thin server. Nothing is exported here. Pure."""
