"""The least that a Flask route can do and still have stored something for good: one document, on a majority's disks.
`/bare-webhook` verifies the provider's signature first."""

import hashlib
import hmac
import secrets

from flask import Flask, jsonify, request

from cli.serving import serve
from config.settings import read_settings
from mailroom.storage.database import connect


def main() -> None:
    settings = read_settings(dotenv=None)

    def make() -> Flask:
        app, db = Flask(__name__), connect(settings.stores.mongo_url, app="bare")

        @app.post("/bare")
        def bare() -> object:
            id_ = secrets.token_hex(12)
            db.bare.insert_one({"_id": id_, "body": request.get_json()})
            return jsonify(id=id_), 202

        @app.post("/bare-webhook")
        def bare_webhook() -> object:
            body = request.get_json()
            signed = body["signature"]
            key, words = settings.mailgun.signing_keys[0].encode(), (signed["timestamp"] + signed["token"]).encode()
            if not hmac.compare_digest(hmac.new(key, words, hashlib.sha256).hexdigest(), signed["signature"]):
                return "", 406
            db.bare.insert_one({"_id": body["event-data"]["id"], "body": body})
            return "", 200

        return app

    serve(make, settings.web, port=settings.web.api_port)


if __name__ == "__main__":
    main()
