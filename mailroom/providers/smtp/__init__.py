"""Mail by SMTP (RFC 5321): one message a call, with an answer for each recipient.

connection  one live session, driven by the standard library's smtplib in a thread of its own
codes       what replies mean
sending     the adapter
"""
