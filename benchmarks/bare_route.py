"""The least that a Flask route can do and still have stored something for good: one document, on a majority's disks."""

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

        return app

    serve(make, settings.web, port=settings.web.api_port)


if __name__ == "__main__":
    main()
