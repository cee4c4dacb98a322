"""A local Mailgun: accepts mail, shows an inbox, keeps an event log, sends signed webhooks, misbehaves on request.

It imports nothing of Mailroom's: it is the witness. What it writes into its own record (one SQLite file) is what
'really went out', and tests count there.
"""
