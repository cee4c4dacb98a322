"""`make test-upgrade`: every process replaced in mid-campaign, by one of another version, and counted by the simulator.

versions    this checkout, and an earlier version from its wheel in a venv of its own
fleet       two APIs, two processes with pages, some senders; each is replaced in its place
callers     clients who repeat what was not answered, under the same key, at the next API
promises    what they were promised: each mark, to whom it goes, and how often
asking      what they ask for all the time: campaigns and single mails
looking     looks at all that is shown, and a rule that old senders do not know
rolling     one run: all of them replaced, and back
control     a version that is not compatible: it must make doubles
verdict     asked, accepted once, doubled, lost; what was answered oddly; who sent how much
"""
