"""Every fault: how it is done, and how it is healed. Each function does one, and returns how many it injected.

senders     killed, frozen, cut off; leases lost; a wrong clock
stores      killed, frozen, emptied, replaced by a stale copy
providers   they misbehave, go down, and are put in another order
mailboxes   the server that bounces come to, and the lease of whoever reads them
restoring   MongoDB and etcd are put back to copies
table       all of them, and how often each is chosen

A fault that takes a server away waits until it is back: what is tested is what happens meanwhile and afterwards.
"""
