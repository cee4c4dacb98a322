"""Reading only: counts, the timeline of a message, runs and their dispatches."""
