"""An app for the tests of faults: it comes up when it may, and leaves traces of what it was.

It writes its process id to `started` before anything else, and listens only when there is no file
`held`.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import ThreadingMixIn, UnixStreamServer

FOLDER = os.path.dirname(os.path.abspath(__file__))
SLEEP = [sys.executable, "-c", "import time; time.sleep(3600)"]


def path(name):
    return os.path.join(FOLDER, name)


def orphan(end):
    """A process whose parent is gone; what it does is for `end` to say."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        # Out of the session and the process group, as a daemon.
        os.setsid()
        process = os.fork()
        if process == 0:
            os.close(reader)
            os.close(writer)
            end()
        os.write(writer, b"%d" % process)
        os._exit(0)
    os.close(writer)
    process = os.read(reader, 32).decode()
    os.wait()
    return process


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = str(os.getpid())
        if self.path == "/environment":
            body = json.dumps(dict(os.environ))
        elif self.path == "/parent":
            body = str(os.getppid())
        elif self.path == "/untraceable":
            body = orphan(lambda: os.execve(SLEEP[0], SLEEP, {}))
        elif self.path == "/ended":
            body = orphan(lambda: os._exit(0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def address_string(self):
        """A client on a unix socket has no address."""
        return "client"

    def log_message(self, *arguments):
        """Says nothing."""


class UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


with open(path("started"), "a") as file:
    file.write("%d\n" % os.getpid())
signal.signal(signal.SIGTERM, lambda *arguments: os._exit(0))
while os.path.exists(path("held")):
    time.sleep(0.005)
if len(sys.argv) > 1:
    UnixServer(sys.argv[1], Handler).serve_forever()
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
