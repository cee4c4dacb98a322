"""`make bench-living`: a campaign to a segment of a million rows, with a feed and links of its readers' own.

rows      the file, and what each row of it must get
recount   what each recipient really got, by the witness
"""
