"""What schedules deviate in, and the words of the promises that they break."""

from typing import Final

from tests.interleavings.director import Menu

# The steps at which order and loss matter most; random walks deviate anywhere.
DECISIVE: Final = ("redis", "provider: call", "looks", "transaction")
PROCESSES: Final = Menu.SWITCH | Menu.CRASH | Menu.FREEZE
ANSWERS: Final = Menu.LOSE | Menu.LATE | Menu.CALLS | Menu.REFUSE | Menu.FORGET | Menu.EMPTY
UNDRAINED: Final = ("left undone", "for ever")  # work waits, and nobody comes for it
