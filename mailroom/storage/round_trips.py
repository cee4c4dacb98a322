"""Every command that goes to MongoDB, as a metric."""

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from mailroom.watching import stores


class RoundTrips(CommandListener):
    """Measures the commands of a client. The driver measures them itself, and calls this in the thread that asked."""

    def started(self, event: CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: CommandSucceededEvent) -> None:
        stores.took(stores.MONGODB, event.duration_micros / 1e6)

    def failed(self, event: CommandFailedEvent) -> None:
        stores.took(stores.MONGODB, event.duration_micros / 1e6)
