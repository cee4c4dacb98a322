"""`make chaos`: the whole system broken in every way we can think of, and counted by a witness outside.

points      the named steps of the protocol at which a sender can be killed or frozen
sender      a sender process with such a point armed, a promise switched off, or its clock moved
proxy       cuts or freezes the way from one sender to one store
world       the servers, the simulator, the senders with their proxies, and what is asked of them
faults      every fault: how it is done, and how it is healed
verdict     asked, accepted once, doubled, lost, unknown; and what each fault made
controls    the promises switched off one by one: each must make doubles, or a run proves nothing
"""
