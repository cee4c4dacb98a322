"""Audiences: made, changed, looked through, filtered."""
