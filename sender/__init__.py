"""A sender process: plan due runs, lease lanes, claim, fence, call, record, drain. One duty a file.

pump        the one thread that takes lanes, plans, claims and fences
callers     threads that make the calls, each over a connection that was open before its fence was crossed
recorder    the thread that writes down what came of the calls
heartbeat   keeps the lease alive
janitor     what nobody waits for: messages left untold, lists left staged
process     puts them together, and ends them in order
"""
