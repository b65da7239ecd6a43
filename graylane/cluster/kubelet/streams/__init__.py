"""Conversations with a running pod: exec, attach, port-forward. Codecs are pure, `server` holds the doors."""
