"""What a PATCH does: strategic merge, server-side apply, field ownership. Nothing is exported here. Pure."""
