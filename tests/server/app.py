"""An app for the tests: it answers who it is, and does what it is asked.

It writes its process id to `started` before anything else, and listens only when there is no file
`held`: on the unix socket that is its argument, or on a port.
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


def terminated(*arguments):
    with open(path("terminated"), "a") as file:
        file.write("%d\n" % os.getpid())
    if not os.path.exists(path("stubborn")):
        os._exit(0)


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
                os.execv(SLEEP[0], SLEEP)
            body = str(worker)
        elif self.path == "/parent":
            body = str(os.getppid())
        elif self.path == "/untraceable":
            body = orphan(lambda: os.execve(SLEEP[0], SLEEP, {}))
        elif self.path == "/ended":
            body = orphan(lambda: os._exit(0))
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


class UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


with open(path("started"), "a") as file:
    file.write("%d\n" % os.getpid())
if os.path.exists(path("broken")):
    sys.exit("this release is broken")
signal.signal(signal.SIGTERM, terminated)
while os.path.exists(path("held")):
    time.sleep(0.005)
if len(sys.argv) > 1:
    UnixServer(sys.argv[1], Handler).serve_forever()
port = int(open(path("port")).read()) if os.path.exists(path("port")) else int(os.environ["PORT"])
Server(("127.0.0.1", port), Handler).serve_forever()
