"""The HTTP API."""

import io
from typing import Any

import onnxruntime
from fastapi import FastAPI, HTTPException, UploadFile
from PIL import Image, UnidentifiedImageError

from app.flowers import DEVICE, LABELS, classify

app = FastAPI(title="Flower classifier")


@app.get("/health")
def health() -> dict[str, Any]:
    return {"status": "ok", "onnxruntime": onnxruntime.__version__, "device": DEVICE}


@app.get("/labels")
def labels() -> list[str]:
    return LABELS


@app.post("/classify")
async def classify_photo(photo: UploadFile) -> dict[str, float]:
    try:
        image = Image.open(io.BytesIO(await photo.read()))
    except UnidentifiedImageError as error:
        raise HTTPException(status_code=422, detail="not an image") from error
    return classify(image)
