"""Segments: filters over the contacts of an audience."""
