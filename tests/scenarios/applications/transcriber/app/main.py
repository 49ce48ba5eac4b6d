"""The HTTP API."""

from typing import Any

import torch
from fastapi import FastAPI, HTTPException, UploadFile

from app.audio import read_wav
from app.model import DEVICE, transcribe

app = FastAPI(title="Transcriber")


@app.get("/health")
def health() -> dict[str, Any]:
    return {"status": "ok", "torch": torch.__version__.partition("+")[0], "device": DEVICE}


@app.post("/transcribe")
async def transcribe_file(file: UploadFile) -> dict[str, Any]:
    try:
        samples, rate = read_wav(await file.read())
    except ValueError as error:
        raise HTTPException(status_code=422, detail=str(error)) from error
    return {"text": transcribe(samples, rate), "seconds": round(len(samples) / rate, 3)}
