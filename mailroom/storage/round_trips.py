"""Every command that goes to MongoDB, as a metric."""

from typing import Final

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from mailroom.watching import stores

_WATCHED: Final = ".$cmd.aggregate"  # the namespace of a cursor over a whole database


class RoundTrips(CommandListener):
    """Measures the commands of a client. The driver measures them itself, and calls this in the thread that asked."""

    def started(self, event: CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.command_name == "getMore" and event.reply["cursor"]["ns"].endswith(_WATCHED):
            return  # it waited for a change
        stores.took(stores.MONGODB, event.duration_micros / 1e6)

    def failed(self, event: CommandFailedEvent) -> None:
        stores.took(stores.MONGODB, event.duration_micros / 1e6)
