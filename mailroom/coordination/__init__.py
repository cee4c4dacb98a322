"""etcd and Redis: the only importer of their clients. Leases, fences, and what these stores remember."""
