"""`make failovers`: each store fails over ten times under load; counted by the witness, and timed until all is whole.

breaking   the three fail-overs: how each is made, and undone
load       campaigns and single mails with keys, at a steady pace
probes     single mails of high priority by which is seen when new mail goes out normally again
telling    the table
"""
