"""A sender process: plan due runs, lease lanes, claim, fence, call, record, drain. One duty a file.

loop              the one thread that does everything up to a ready request, a round at a time, by way of
lanes             what is taken, shared among senders, and given back
claimer           what waits: connections, claims, requests made ready
provider_router   which provider gets the next work
throttle          how much may go now, by the limits that people have set
restore_guard     notices a MongoDB that is an older copy, and what is stopped or paused; nothing is begun then
fencer            the thread that crosses fences, no sooner than there is room to call
caller            the thread that makes the calls, each over a connection that was open before its dispatch was claimed
recorder          the thread that writes down what came of the calls
reconciler        the thread that asks the provider about doubts
in_flight         the lanes and dispatches of this process at this moment
duties            what ticks: the lease's heartbeat, the ledger, and the janitor
process           puts them together, and ends them in order
"""
