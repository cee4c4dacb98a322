"""Build clients, adapters and services from the settings: the only place that does. Nothing here is global.

`api` and `sender` build all that a process of that name has, out of the other parts.
"""
