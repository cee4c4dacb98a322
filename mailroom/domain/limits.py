"""Every limit that users can reach, with its unit. The API's schemas, the pages and the documents quote them."""

from typing import Final

MAX_NAME: Final = 200  # characters
MAX_TOPIC_ID: Final = 40  # characters
MAX_POSTAL_ADDRESS: Final = 300  # characters
MAX_SUBJECT: Final = 500  # characters, before variables are filled in
MAX_TEXT: Final = 1_000_000  # characters; a rendered mail must stay under Mailgun's 25 MB
MAX_HTML: Final = 1_000_000
MAX_PARTS: Final = 1_000  # of a template: places that differ by recipient
MAX_TEMPLATE_DEPTH: Final = 24  # blocks and expressions inside one another, and brackets
MAX_TEMPLATE_TOKENS: Final = 8_000  # words and signs of all expressions of a template
MAX_EXPRESSION_TOKENS: Final = 500  # words and signs of one expression
MAX_BATCH_TOKENS: Final = 50_000  # words and signs of all templates of one request
MAX_CONCATENATIONS: Final = 500  # texts that a template joins with ~ and +
MAX_TEMPLATE: Final = 200_000  # characters of a single mail's subject, text or html, where it has variables
MAX_TAGS: Final = 3  # Mailgun's documentation; its SDKs allow 10, unconfirmed
MAX_TAG: Final = 128  # characters, ASCII
MAX_RECIPIENTS: Final = 1_000_000  # a schedule
MAX_RECIPIENT_NAME: Final = 200
MAX_VARIABLES: Final = 50  # a recipient
MAX_VARIABLE_NAME: Final = 64
MAX_VARIABLE_VALUE: Final = 2_000  # characters
MAX_RUNS: Final = 1_000_000
MAX_GRACE_S: Final = 30 * 86_400
MAX_INTERVAL_S: Final = 366 * 86_400
MAX_EXPRESSION: Final = 500
MAX_IDEMPOTENCY_KEY: Final = 255
MAX_SMALL_BODY_BYTES: Final = 64 * 1024  # a request that carries no list, template, text or attachment
MAX_IDS_BODY_BYTES: Final = 1024 * 1024  # a request with a list of ids or addresses
MAX_FILE_BYTES: Final = 16 * 1024 * 1024  # a list of suppressions as CSV
MAX_TEMPLATE_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_MAIL_BODY_BYTES: Final = 40 * 1024 * 1024  # a single mail: its attachments are a third longer in base64
MAX_BODY_BYTES: Final = 64 * 1024 * 1024  # a list or a batch: 100,000 recipients with their variables
MAX_VALUES: Final = 200_000  # in one JSON body: values of lists and objects
MAX_VALUES_OF_A_BATCH: Final = 2_000_000
MAX_VALUES_OF_A_LIST: Final = 6_000_000
MAX_WEBHOOK_BYTES: Final = 1024 * 1024
MAX_NEXT_RUNS: Final = 100
MAX_PAGE: Final = 200  # rows of a list

MAX_MAIL_RECIPIENTS: Final = 50  # of one single mail, to, cc and bcc together: Amazon SES takes no more
MAX_MAIL_BYTES: Final = 25 * 1024 * 1024  # of a single mail: bodies and attachments, before they are encoded
MAX_SHOWN: Final = 1_000_000  # characters of a single mail's text, and of its HTML, in an answer
MAX_REPLY_TO: Final = 10  # addresses
MAX_MAILS: Final = 1_000  # in one request
MAX_ATTACHMENTS: Final = 50
MAX_FILENAME: Final = 255
MAX_CONTENT_TYPE: Final = 255  # characters, parameters included
MAX_HEADERS: Final = 15  # of the caller's own: Amazon SES takes no more
MAX_HEADERS_BYTES: Final = 12 * 1024  # of names and values: Mailgun takes 16 KB of options, ours among them
MAX_HEADER_NAME: Final = 126
MAX_HEADER_VALUE: Final = 995
MAX_MAIL_VARIABLE: Final = 100_000  # characters of one value that fills in a single mail
MAX_MAIL_NUMBER: Final = 10**20  # of a whole number that fills in a single mail: 64 bits fit
MAX_METADATA: Final = 50  # entries
MAX_METADATA_VALUE: Final = 500
MAX_RATE: Final = 10_000_000  # mails in a span
MAX_WARM_UP_DAYS: Final = 90
MAX_RATE_LIMITS: Final = 1_000
MAX_SEND_AHEAD_S: Final = 366 * 86_400

MAX_FEED_URL: Final = 2_000  # characters
MAX_FEED_HEADERS: Final = 5
MAX_FEED_TIMEOUT_S: Final = 60  # of one fetch, from the look-up of the name to the last byte
MAX_FEED_DEADLINE_S: Final = 7 * 86_400
MAX_FEED_BYTES: Final = 2 * 1024 * 1024  # of the body, after decompression
MAX_FEED_FOUND: Final = 2_000  # items in a feed
MAX_FEED_ITEMS: Final = 100  # items that a run takes of it
MAX_FEED_DEPTH: Final = 8  # lists and objects inside one another, in JSON
MAX_FEED_VALUES: Final = 50_000  # values of lists and objects, in JSON
MAX_FEED_CHARACTERS: Final = 1_000_000  # that a run takes of its items
MAX_FEED_ITEM_CHARACTERS: Final = 400_000  # of one item, and of the fields beside the items

# One transaction of planning, and so one call to a provider, carries at most this.
CHUNK_RECIPIENTS: Final = 1_000
CHUNK_BYTES: Final = 8 * 1024 * 1024  # of rendered, per-recipient parts
MAX_RENDERED_BYTES: Final = 64 * 1024  # of rendered parts for one recipient
