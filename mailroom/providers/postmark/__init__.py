"""Postmark's API: sending, its codes, its webhooks."""
