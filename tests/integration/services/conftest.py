"""What several of these tests begin with."""

import pytest

from mailroom.coordination.fences import Fences
from mailroom.storage.database import Db
from tests.support.elsewhere import Mail


@pytest.fixture
def mail(db: Db, fences: Fences) -> Mail:
    """A single mail that may go elsewhere."""
    return Mail(db, fences)
