"""The bound on the total cost of all templates of one request, and of the loops in them."""

from mailroom.domain.content import cost_of
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_BATCH_TOKENS
from mailroom.domain.template_spending import SharedSteps
from mailroom.domain.templates import Template


class TemplateBudget:
    """Bounds the cost of all templates of one request; a template that several mails share counts once. `steps`: those
    that the loops of all mails share; each rendering counts."""

    def __init__(self) -> None:
        self._paid: set[tuple[str, ...]] = set()
        self._left = MAX_BATCH_TOKENS
        self.steps = SharedSteps()

    def spend(self, draft: EmailDraft, template: Template | None) -> None:
        """Raises InvalidInput if the request has no budget left for this mail's templates."""
        if not (draft.templated or draft.variables or draft.template):
            return
        content = template.content if template else _content(draft)
        key = tuple(content.values())
        if key in self._paid:
            return
        self._paid.add(key)
        self._left -= cost_of(content)
        if self._left < 0:
            words = f"the templates of one request have at most {MAX_BATCH_TOKENS:,} words and signs in all expressions"
            raise InvalidInput(Fault("variables", f"{words}; hand this mail in with another request"))


def _content(draft: EmailDraft) -> dict[str, str]:
    """A text that is made of the HTML or the Markdown costs as much as they do, a preheader as a subject."""
    html = draft.html + draft.markdown + draft.mjml
    return {
        "subject": draft.subject + draft.preheader,
        "text": html if draft.text is None else draft.text,
        "html": html,
    }
