"""Single mails: what an application server hands over, one at a time, and wants to know the end of.

model     the values: a mail, its envelope, its attachments
checking  what was asked for, checked as a whole
status    what a mail's recipients together say about it
"""
