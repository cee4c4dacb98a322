"""A sender process: plan due runs, lease lanes, claim, fence, call, record, drain. One duty a file.

pump        the one thread that does everything up to a ready request, a round at a time, by way of
lanes       what is taken, shared among senders, and given back
feed        what waits: connections, claims, requests made ready
routes      which provider gets the next work
throttle    how much may go now, by the limits that people have set
holding     notices a MongoDB that is an older copy; nothing is begun then
gate        the thread that crosses fences, no sooner than there is room to call
callers     the thread that makes the calls, each over a connection that was open before its dispatch was claimed
recorder    the thread that writes down what came of the calls
settler     the thread that asks the provider about doubts
duties      what ticks: the lease's heartbeat, and what nobody waits for
process     puts them together, and ends them in order
"""
