"""Feeds fetched from anywhere, and taken apart: the room for what strangers' servers answer.

connecting   a connection to an address that was looked at, for a bounded time
fetching     one request, its answer bounded in time and size
decoding     bytes to text, by a closed list of encodings
json_feeds   JSON to items
xml_feeds    RSS and Atom to items
reading      which of the two it is
"""
