"""Forks workers that leave its session and its process group, as a daemon does."""

import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "11")
        self.end_headers()
        self.wfile.write(b"It serves.\n")

    def log_request(self, *arguments):
        """Says nothing of requests that went well."""


for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        # A worker of the worker, whose parent ends at once: nobody's child any more.
        if os.fork() == 0:
            while True:
                time.sleep(3600)
        os._exit(0)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
