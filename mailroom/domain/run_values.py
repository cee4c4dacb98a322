"""The values that are equal for all recipients of a run, such as what its feed gave. Its content is rendered with them
once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: The name of a run's feed in its content.
FEED: Final = "feed"


@dataclass(frozen=True, slots=True)
class RunValues:
    """Values by name: texts, numbers, null, and lists and objects of these. Equal values have equal digests, and are
    equal themselves; so content that was compiled with them is found again."""

    digest: str
    by_name: Mapping[str, Any] = field(compare=False, repr=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "RunValues":
        """A copy of these values. The order of keys makes no other digest. Raises TypeError or ValueError for what is
        not JSON."""
        written = json.dumps(values, sort_keys=True, allow_nan=False)
        return cls(hashlib.sha256(written.encode()).hexdigest(), json.loads(written))

    def __bool__(self) -> bool:
        return bool(self.by_name)


NO_RUN_VALUES: Final = RunValues.of({})
