"""What Python brings along, nothing else."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = b"." * (8 << 20)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        known = {"/": b"It serves.\n", "/health": b"ok", "/large": LARGE}
        self.answer(known.get(self.path))

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        self.answer(str(len(body)).encode() if self.path == "/upload" else None)

    def answer(self, body):
        self.send_response(404 if body is None else 200)
        body = body or b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *arguments):
        """Says nothing of requests that went well."""


ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
