"""Mailroom's shared heart: the domain, its stores, its providers, and the use cases over them."""
