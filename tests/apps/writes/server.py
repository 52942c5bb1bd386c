"""Keeps uploads and an SQLite database beside its code, and logs where it may not."""

import os
import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = os.path.dirname(os.path.abspath(__file__))


def database():
    connection = sqlite3.connect(os.path.join(HERE, "data", "app.sqlite"), timeout=10)
    connection.execute("CREATE TABLE IF NOT EXISTS upload (name TEXT, length INTEGER)")
    return connection


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/count":
            with database() as connection:
                count = connection.execute("SELECT COUNT(*) FROM upload").fetchone()[0]
            return self.answer(str(count))
        self.answer("It serves.\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = os.path.basename(self.path)
        with open(os.path.join(HERE, "uploads", name), "wb") as file:
            file.write(body)
        with database() as connection:
            connection.execute("INSERT INTO upload VALUES (?, ?)", (name, len(body)))
        self.answer(str(len(body)))

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_request(self, *arguments):
        """Says nothing of requests that went well."""


database().close()
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
