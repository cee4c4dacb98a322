"""Lists of recipients as people paste and upload them. Nothing that decides who gets a mail is guessed.

texts      bytes to lines: encodings, byte order marks, line ends, how long a line may be
mailboxes  one address or `Name <address>` a line, or several with commas and semicolons between them
columns    what each column of a table is for: a proposal, which a person may change
tables     CSV: separators, header line, rows with the numbers of their lines
rows       a row before its values are checked, and a refused one
reading    a first look at a list, and its rows
"""
