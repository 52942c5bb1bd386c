"""An app for the tests: it answers who it is, and does what it is asked."""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(FOLDER, name)


def terminated(*arguments):
    with open(path("terminated"), "a") as file:
        file.write("%d\n" % os.getpid())
    if not os.path.exists(path("stubborn")):
        os._exit(0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = str(os.getpid())
        if self.path == "/environment":
            body = json.dumps(dict(os.environ))
        elif self.path == "/wait":
            while not os.path.exists(path("go")):
                time.sleep(0.005)
        elif self.path == "/fork":
            worker = os.fork()
            if worker == 0:
                # Out of the session and the process group, as a daemon.
                os.setsid()
                os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(3600)"])
            body = str(worker)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = answer

    def log_message(self, *arguments):
        """Says nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if os.path.exists(path("broken")):
    sys.exit("this release is broken")
signal.signal(signal.SIGTERM, terminated)
port = int(open(path("port")).read()) if os.path.exists(path("port")) else int(os.environ["PORT"])
Server(("127.0.0.1", port), Handler).serve_forever()
