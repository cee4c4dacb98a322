"""A dispatch is one call to a provider, carrying 1 to N messages: the unit that must happen once.

How it happens once, step by step, and where each step is written (docs/protocol.md tells why):

    1  take a lane    services/dispatching/lanes.py      etcd's key, then the token in MongoDB, then in Redis
    2  claim          services/dispatching/claims.py     pending -> sending, under the lane's guard
       leave out      services/dispatching/exclusions.py drops recipients suppressed since planning
       build          services/dispatching/requests.py   the request, before anything is fenced
    3  cross a fence  services/dispatching/fences.py     Redis lets each attempt pass once
    4  call           sender/caller.py                   one request, over a connection that was open before
    5  record         services/dispatching/outcomes.py   facts at once; decisions under the lane's guard
       reject         services/dispatching/rejections.py refused for sure: again, in parts, or failed
       split          services/dispatching/splits.py     a batch with a refused recipient becomes several
       propagate      services/dispatching/propagation.py the state is copied to the messages, runs are finished
    6  take over      services/dispatching/take_over.py  what a dead sender left in `sending` is judged by its fence
    7  reconcile      services/reconciliation/           what may have gone out is asked of the provider's log

The states (states.py has every move, and who may make it):

                          claimed                 accepted
              pending ---------------> sending ---------------> accepted
                 ^  ^                  |  |  |                      ^
                 |  |     returned     |  |  |  nobody can know     |  found in the log,
                 |  +------------------+  |  +---------> in_doubt --+  or a person's word
                 |                        |               |  |      |
                 |  not accepted          |  failed       |  |      |
                 +------------------------|---------------+  |      |
                 |                        v                  v      |
                 +-------------------- failed            unknown ---+
                    requeued              ^                  |
                                          +-- no try left    +--> pending: a person has it sent again

    split       ended, and carried on by its parts: a refused recipient, a partial yes
    cancelled   known not to have gone out, and not to go any more

What may break "once", and what keeps it:

    Two senders at work in one lane   Only one has the highest token. Decisions are written under a LaneGuard
                                      (storage/guard.py), which a lower token does not get.
    A sender that stood still         The caller looks at the lease's deadline; the fence refuses a stale token; the
                                      connection is one that was made before.
    A call whose answer is lost       The fence stays crossed: nobody calls again before the doubt is concluded.
    A Redis that forgot               Its identity is part of each claim. Under another identity a missing fence proves
                                      nothing.
    A MongoDB that was put back       Its mark is behind Redis' copy of it: senders hold (sender/restore_guard.py).
    An etcd that was put back         Tokens begin with an epoch, which grows (storage/cluster/etcd_epoch.py).

A decision is bound to the claim, and to the guard of the lane. A fact (a provider said yes) is always written,
whoever holds the lane.
"""
