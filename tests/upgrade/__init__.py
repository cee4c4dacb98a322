"""`make test-upgrade`: every process replaced in mid-campaign, by one of another version, and counted by the simulator.

versions    this checkout, and an earlier version from its wheel in a venv of its own
fleet       two APIs, two processes with pages, some senders; each is replaced in its place
callers     clients who repeat what was not answered, under the same key, at the next API
asking      what they ask for all the time: campaigns, single mails, looks at all that is shown
verdict     asked, accepted once, doubled, lost; what was answered oddly; who sent how much
"""
