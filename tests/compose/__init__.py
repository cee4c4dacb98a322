"""The Compose files run for real, where there is neither a Docker engine nor an image registry: `make test-compose`."""
