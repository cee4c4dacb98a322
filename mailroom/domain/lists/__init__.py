"""Pasted and uploaded lists of recipients. No guess ever decides who gets a mail.

texts      bytes to lines: encodings, byte order marks, line ends, how long a line may be
mailboxes  one address or `Name <address>` a line, or several with commas and semicolons between them
columns    the role of each column of a table: a proposal, which a person may change
tables     CSV: separators, header line, rows with the numbers of their lines
rows       a row before its values are checked, and a refused row
reading    a first look at a list, and its rows
"""
