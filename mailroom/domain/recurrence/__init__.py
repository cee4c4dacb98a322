"""When a schedule is due: `once`, `cron`, `rrule` and `every`, in an IANA time zone.

`model` holds the values, `wallclock` the one rule that maps local times to instants, one module a kind
computes its instants, and `upcoming` puts bounds and notes around them.
"""
