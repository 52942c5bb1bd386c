from flask import Flask, Response, request

LARGE = b"." * (8 << 20)
app = Flask(__name__)


@app.get("/health")
def health():
    return "ok"


@app.get("/")
def index():
    return Response("It serves.\n", mimetype="text/plain")


@app.get("/large")
def large():
    return Response(LARGE, mimetype="application/octet-stream")


@app.post("/upload")
def upload():
    return Response(str(len(request.get_data())), mimetype="text/plain")
