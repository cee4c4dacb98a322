"""etcd and Redis: leases, fences, limits, and copies of MongoDB's marks. Nothing else imports their clients."""
