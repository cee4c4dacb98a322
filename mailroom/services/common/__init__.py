"""What several packages of services use. Nothing here imports one of them."""
