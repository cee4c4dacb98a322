"""`make soak`: an hour's steady load at 70 % of the peak, in which memory and latency are flat and no alert fires.

stage     the processes, started as an operator starts them, and Prometheus beside them
load      single mails, a campaign and page views: as fast as all is through with them, or at a steady pace
book      what was asked for, and what the witness has of it
samples   memory and latency, half a minute at a time
slopes    whether a figure grows, by how much an hour, and how sure that is
alerts    the rules of config/prometheus, evaluated by a real Prometheus over its own scraped series
"""
