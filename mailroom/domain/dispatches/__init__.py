"""A dispatch is one call to a provider, carrying 1 to N messages: the unit that must happen once.

How it happens once, step by step, and where each step is written (docs/protocol.md gives the reasons):

    1  take a lane    services/dispatching/lanes.py      etcd's key, then the token in MongoDB, then in Redis
    2  claim          services/dispatching/claims.py     pending -> sending, under the lane's guard
       leave out      services/dispatching/exclusions.py drops recipients suppressed since planning
       build          services/dispatching/requests.py   the request, before anything is fenced
    3  cross a fence  services/dispatching/fences.py     Redis lets each attempt pass once
    4  call           sender/caller.py                   one request, over a connection that was open before
    5  record         services/dispatching/outcomes.py   facts at once; decisions under the lane's guard
       reject         services/dispatching/rejections.py a certain refusal: retry, split, or fail
       split          services/dispatching/splits.py     a batch with a refused recipient becomes several
       propagate      services/dispatching/propagation.py copy the state to the messages, finish runs
       go elsewhere   services/dispatching/elsewhere.py  a single mail in doubt, where its caller chose that
    6  take over      services/dispatching/take_over.py  a dead sender's dispatches in `sending`, judged by fence
    7  reconcile      services/reconciliation/           ask the provider's log about dispatches in doubt

The rules of these steps are in this package, without I/O:

    model.py        a dispatch as planned, claimed and stored       states.py       its states, and every move
    fences.py       the meaning and the proof of a fence's answer   spans.py        which calls may share a recipient
    outcomes.py     the outcome of one call                         calls.py        the number of calls of a message
    retry_or_halve.py  after a refusal: the time of the next try, halves of the batch, or the end
    decisions.py    the same, as it is written: return to pending, fail, or split
    elsewhere.py    a single mail in doubt that goes by another provider: the one exception
    doubts.py       a dispatch in doubt, and when to ask            absence.py      when absence is believed
    conclusions.py  the end of a doubt

The states (states.py has every move and its trigger):

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

    split       ended, and continued by its parts: a refused recipient, a partial acceptance
    cancelled   did not go out, and will not go out

Threats to "once", and the defence against each:

    Two senders at work in one lane   Only one has the highest token. Decisions are written under a LaneGuard
                                      (storage/guard.py), which a lower token does not get.
    A frozen sender                   The caller checks the lease's deadline; the fence refuses a stale token; the
                                      connection was open before the fence was crossed.
    A call whose answer is lost       The fence stays crossed: no sender calls again before the doubt is concluded.
    A Redis that lost its data        Its identity is part of each claim. Under another identity a missing fence proves
                                      nothing.
    A restored MongoDB                Its mark is behind the copy in Redis: senders hold (sender/restore_guard.py).
    A restored etcd                   Tokens begin with an epoch, which grows (storage/cluster/etcd_epoch.py).

A decision is bound to the claim and to the guard of the lane. A fact (a provider's acceptance) is always written,
whoever holds the lane.
"""
