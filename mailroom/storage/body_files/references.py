"""How a body's document names a file."""

from bson import ObjectId

#: An ObjectId: in GridFS. A text, `bucket/key`: in S3.
FileRef = ObjectId | str


class FileGone(Exception):
    """The file is not there any more: the time of its body is over, or somebody removed it."""
