"""`make chaos`: the whole system broken in every way we can think of, and counted by a witness outside.

points      the named steps of the protocol at which a sender can be killed or frozen
sender      a sender process with such a point armed, a promise switched off, or its clock moved
proxy       cuts or freezes the way from one sender to one store
world       the servers, the simulator, the senders with their proxies, and what is asked of them
faults      every fault: how it is done, and how it is healed
driving     one run: ask, break, heal, wait until all is quiet, count
witness     what the providers took, to whom and when
stories     what goes on beside the campaigns, each with an account of its own: living, zoned, erased, bouncing
verdict     asked, accepted once, doubled, lost, unknown; what the stories found (shown: as tables; made: by each fault)
controls    the promises switched off one by one: each must make doubles, or a run proves nothing
"""
