"""Dispatches in doubt: what the provider's log or a person says became of them."""
