"""Rules without I/O. Nothing here opens a connection, reads a clock or knows of HTTP; callers pass `now`."""
