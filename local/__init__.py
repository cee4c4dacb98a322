"""The embedded default: real mongod, etcd and redis-server as child processes of one machine."""
