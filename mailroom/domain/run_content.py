"""The content of a campaign as one run sends it: with the values that are the run's own, such as its feed.

The one place where templates get these values.
"""

from mailroom.domain import campaign_content
from mailroom.domain.run_values import RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.template_parts import Compiled
from mailroom.domain.template_spending import CannotRender


def compiled(content: Content, run_values: RunValues) -> Compiled:
    """The content, compiled with what is the same for all recipients of the run. Raises CannotRender where these values
    do not fit the content; never without such values."""
    return campaign_content.compiled(content, run_values)


def why_unfit(content: Content, run_values: RunValues) -> str:
    """Why the content cannot be filled in with these values; '' if it can."""
    try:
        compiled(content, run_values)
    except CannotRender as error:
        return str(error)
    return ""
