"""Feeds: a schedule names a URL; each run fetches it once, keeps what it got, and offers it to its template.

model      the feed as a schedule names it, and the copy that a run keeps
checking   a feed as asked for, checked
failures   what became of a fetch
rules      what the settings allow
urls       the URLs that may be named
networks   the addresses that may be connected to
newer      which items are new to a schedule's readers
retrying   when a failed fetch is tried again, and what follows the last one
"""
