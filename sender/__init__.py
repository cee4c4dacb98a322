"""A sender process: plan due runs, lease lanes, claim, fence, call, record, drain. One duty a file.

loop              the one thread that takes lanes and claims, up to ready requests, round by round, through
lanes             lanes: taken, shared among the senders, released
claimer           waiting dispatches: connections, claims, requests
looks             looks for dispatches that may be claimed now
look_back         how far a look goes back
backlog           dispatches that a look saw, and that are not handed over yet
connections       live connections to the providers, opened before any claim
reachability      whether this sender can reach a provider
provider_router   the provider for the next dispatches
rate_limits       admission by the configured rate limits
pace              admission by the rate that a provider's answers allow
restore_guard     detects a restored MongoDB, stopped sending and paused runs; nothing is begun then
presence          the check-ins that make undrained lanes visible
fencer            the thread that crosses fences, only while there is room to call
caller            the thread that makes the calls, each over a connection that was open before its dispatch was claimed
recorder          the thread that records the outcomes of calls
provider_health   reports outcomes to the router, the pace, the speeds and the faults
provider_rest     a provider that refuses the account rests until its Retry-After
too_many_requests what a 429 does to a provider
speeds            how long the providers take, and which of them is slow
faults            why a provider takes no mail, for people to see
planner           the thread that decides due instants and writes the messages of runs
lane_turns        in which lanes planning and claiming may work just now
run_duty          runs one duty: a lost lane, or a bug, stops no other duty
reconciler        the thread that asks the provider about dispatches in doubt
feed_keeper       the thread that gives runs their feeds, before they are planned
mailbox_reader    the thread that reads the mailboxes for bounces
in_flight         the lanes held, and the dispatches in flight, in this process
counts            what happens here, as metrics
traced            what happens here with a traced mail, as steps of its trace
duties            periodic duties: heartbeat of the lease, janitor, archive, ledger, pushes to Mailgun, log level
leisure           the pace of the ledger, so that no mail waits for it
health_port       `/health` and `/ready` for a process supervisor, `/metrics` for Prometheus
parts             builds the parts and connects them
process           a whole sender: runs until stopped, shuts down in order
"""
