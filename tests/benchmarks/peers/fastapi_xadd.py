"""What one would write in an afternoon: FastAPI, a model, one XADD. No deduplication, no tier, no envelope."""

import json
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import Redis

app = FastAPI()
redis = Redis.from_url(sys.argv[2], decode_responses=True)


class Form(BaseModel):
    name: str | None = None
    email: str
    subject: str | None = None
    message: str


@app.post("/", status_code=202)
async def submit(form: Form) -> dict[str, str]:
    entry = await redis.xadd("fastapi", {"channel": "web_form", "event": json.dumps(form.model_dump())})
    return {"id": str(entry)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", access_log=False, log_level="warning")
