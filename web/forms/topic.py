"""The form of a topic."""

from wtforms.fields import BooleanField

from mailroom.domain.topics import Topic
from web.forms.base import DomainForm
from web.forms.fields import HiddenTextField, LongTextField, TextField


class TopicForm(DomainForm):
    id = TextField("Id", description="Small letters, digits and -. It cannot be changed later.")
    name = TextField("Name", description="As readers see it, for example Weekly news.")
    postal_address = LongTextField("Postal address of the sender", description="Many laws ask for it in newsletters.")
    footer = BooleanField("Add a footer with this address and an unsubscribe link to emails that have no link")
    version = HiddenTextField()

    @classmethod
    def of(cls, topic: Topic) -> "TopicForm":
        fields = ("id", "name", "postal_address", "footer")
        return cls(data={name: getattr(topic, name) for name in fields} | {"version": str(topic.version)})

    def asked(self) -> dict[str, object]:
        return {"name": self.name.data, "postal_address": self.postal_address.data, "footer": self.footer.data}
