"""Where the large parts of single mails lie: GridFS in MongoDB, or a bucket of S3."""
