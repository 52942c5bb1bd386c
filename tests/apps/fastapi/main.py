from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

LARGE = b"." * (8 << 20)
app = FastAPI()


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.get("/", response_class=PlainTextResponse)
async def index():
    return "It serves.\n"


@app.get("/large")
async def large():
    return Response(LARGE, media_type="application/octet-stream")


@app.post("/upload", response_class=PlainTextResponse)
async def upload(request: Request):
    return str(len(await request.body()))
