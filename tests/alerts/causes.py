"""The cause of each alert, made on real parts: the stories beside this file tell how."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.recorded_series import Recording

#: What a story recorded, by alert.
Recordings = Mapping[str, Recording]


@dataclass(frozen=True)
class Cause:
    """`within_min`: the alert fires so many minutes after the cause. `labels`: of each firing alert, besides its name
    and severity. `goes_on`: the cause lasts, so that what it counted is counted again each minute."""

    alert: str
    words: str
    within_min: int
    labels: tuple[Mapping[str, str], ...] = ({},)
    goes_on: bool = False

    def __str__(self) -> str:
        return f"{self.alert} fires after {self.words}"


_MAILGUN: Final = ({"provider": "mailgun"},)
_RESETS: Final = ({"objective": "resets"},)
_FORGED: Final = ({"provider": "mailgun", "code": "bad_signature"},)
_SENDER: Final = ({"instance": "sender/0", "job": "sender"},)
_BOTH: Final = ({"store": "etcd"}, {"store": "mongodb"})

#: A provider that goes wrong, and what people and callers do to a running system.
PROVIDERS: Final = (
    Cause("MailroomProviderSlow", "the provider answers after ten seconds", 22, _MAILGUN, goes_on=True),
    Cause("MailroomBudgetBurnsFast", "resets are accepted ten seconds late", 20, _RESETS, goes_on=True),
    Cause("MailroomBudgetBurns", "resets are accepted ten seconds late for long", 30, _RESETS, goes_on=True),
    Cause("MailroomTooFewSenders", "more mails are due than one sender can call for", 17),
    Cause("MailroomMailsRefused", "the provider refuses recipients", 20, _MAILGUN, goes_on=True),
    Cause("MailroomProviderLeavesDoubts", "the provider answers 500", 12, _MAILGUN, goes_on=True),
    Cause("MailroomDoubtsStay", "the provider's log cannot be asked", 122),
    Cause("MailroomNeedsDecision", "a doubt outlives the provider's log", 7),
    Cause("MailroomAccountRefused", "the provider answers 401", 2, _MAILGUN),
    Cause("MailroomWebhooksRefused", "webhooks come with a wrong signature", 30, _FORGED, goes_on=True),
    Cause("MailroomWebhooksLate", "events come an hour late", 50, _MAILGUN, goes_on=True),
    Cause("MailroomEventsUnread", "a signed event of a new kind comes", 2, _MAILGUN),
    Cause("MailroomMailboxUnread", "the mail server of a mailbox is away for an hour", 7, ({"mailbox": "1"},)),
    Cause("MailroomLedgerDoesNotBalance", "a stored message is removed by hand", 2),
    Cause("MailroomSendingStopped", "a person stops all sending", 32),
)
#: Senders that are frozen, killed and started again, and an API that is killed.
SENDERS: Final = (
    Cause("MailroomAcceptedTwice", "a frozen sender's fence is removed, and another one sends", 2),
    Cause(
        "MailroomLeasesLost",
        "a sender is frozen and loses its lease, again and again",
        5,
        ({"instance": "sender/0"},),
        goes_on=True,
    ),
    Cause("MailroomNoSender", "every sender is killed", 3),
    Cause("MailroomMailsWait", "every sender is killed and a reset is due", 3, ({"priority": "high"},)),
    Cause("MailroomLanesUndrained", "every sender is killed and a lane has work", 3),
    Cause("MailroomLedgerOld", "every sender is killed for hours", 190),
    Cause("MailroomInstantsSkipped", "senders come back when the grace of due instants is over", 2),
    Cause("MailroomNotWatched", "the only API is killed", 7),
)
#: Stores that are emptied, killed, and put back to an older copy.
STORES: Final = (
    Cause("MailroomFencesForgotten", "Redis is emptied between claim and call", 2),
    Cause("MailroomStoreTakesNoWrites", "MongoDB and etcd are killed", 3, _BOTH),
    Cause("MailroomSenderStuck", "MongoDB is killed under a sender", 4, _SENDER),
    Cause("MailroomRequestsFail", "MongoDB is killed under an API", 8, ({"job": "api"},), goes_on=True),
    Cause("MailroomFiguresOld", "MongoDB is away for half a minute", 4),
    Cause("MailroomHeld", "MongoDB comes back as an older copy", 2),
)
CAUSES: Final = PROVIDERS + SENDERS + STORES
