"""Audiences: lists of contacts that change, and what they were at each version."""
