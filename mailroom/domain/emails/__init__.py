"""Single mails: transactional mails that applications submit and whose outcome they can query.

model     the values: a mail, its envelope, its attachments
checking  a requested mail, checked as a whole
status    the state of a mail, from the states of its recipients
"""
