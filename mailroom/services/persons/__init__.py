"""A person's data: all of it as one document, and its erasure."""
