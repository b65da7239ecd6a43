"""A network of its own for every pod: namespaces, addresses and names, for programs that know nothing of proxies."""
