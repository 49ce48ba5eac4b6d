"""The HTTP API."""

import io

import numpy as np
import tensorflow as tf
from flask import Flask, Response, abort, request, send_file
from PIL import Image, UnidentifiedImageError

from app.segmentation import DEVICE, segment

app = Flask(__name__)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok", "tensorflow": tf.__version__, "device": DEVICE}


@app.post("/segment")
def segment_photo() -> Response:
    try:
        photo = Image.open(io.BytesIO(request.get_data())).convert("RGB")
    except UnidentifiedImageError:
        abort(422, "not an image")
    mask = Image.fromarray((segment(np.asarray(photo)) * 255).astype(np.uint8))
    target = io.BytesIO()
    mask.save(target, "PNG")
    target.seek(0)
    return send_file(target, mimetype="image/png")
