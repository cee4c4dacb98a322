"""Which schedules can go out in each recipient's own time: every fault at once."""

from typing import Final

from mailroom.domain.errors import Fault
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence import zones
from mailroom.domain.recurrence.model import Kind, Recurrence
from mailroom.domain.recurrence.upcoming import names_wall_clock_times
from mailroom.domain.schedules import Misfire, MisfirePolicy

_NEEDS_A_TIME: Final = "each recipient's own time needs times of the day: once, or a rule that names hours and minutes"
_NEVER_MADE_UP_FOR: Final = "run_all does not go with each recipient's own time: whose time has passed is skipped"


def faults_of_delivery(
    delivery: str, default_time_zone: str, *, rule: Recurrence | None, misfire: Misfire | None
) -> list[Fault]:
    """`rule`, `misfire`: None where they are faulty themselves."""
    if delivery not in list(DeliveryTime):
        return [Fault("delivery", f"one of {', '.join(DeliveryTime)}")]
    if delivery == DeliveryTime.SCHEDULE_TIME:
        beside = "goes with the delivery recipient_time only"
        return [Fault("default_time_zone", beside)] if default_time_zone else []
    faults = []
    if rule and (rule.kind is Kind.EVERY or not names_wall_clock_times(rule)):
        faults.append(Fault("delivery", _NEEDS_A_TIME))
    if default_time_zone and zones.find(default_time_zone) is None:
        faults.append(Fault("default_time_zone", zones.unknown(default_time_zone)))
    if misfire and misfire.policy is MisfirePolicy.RUN_ALL:
        faults.append(Fault("misfire.policy", _NEVER_MADE_UP_FOR))
    return faults
