"""What the simulator consists of, handed to its routes."""

from collections.abc import Callable
from dataclasses import dataclass

from simulator.behaviour import Behaviour
from simulator.store import Store
from simulator.webhooks import WebhookSender


@dataclass(frozen=True, slots=True)
class World:
    domain: str
    api_key: str
    store: Store
    behaviour: Behaviour
    sender: WebhookSender
    set_idle_limit: Callable[[float], None]
