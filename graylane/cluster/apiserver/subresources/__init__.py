"""What lies behind an object: scale, logs, eviction, binding, proxies. `table.SUBRESOURCES` names them all."""
