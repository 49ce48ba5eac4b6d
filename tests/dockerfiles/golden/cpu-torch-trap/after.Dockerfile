FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1
WORKDIR /app

# Torch first, so that its layer is cached.
RUN printf '%s\n' torch==2.8.0+cpu torchaudio==2.8.0+cpu > /tmp/cpu-only.txt \
    && pip install \
        --constraint /tmp/cpu-only.txt \
        --no-cache-dir torch torchaudio --index-url https://download.pytorch.org/whl/cpu

COPY requirements.txt .
RUN pip install \
        --constraint /tmp/cpu-only.txt --extra-index-url https://download.pytorch.org/whl/cpu \
        --no-cache-dir -r requirements.txt \
    && python3 -Bc "import torch, importlib.util as u; assert torch.version.cuda is None and not u.find_spec('nvidia')"

COPY src/ ./src/
EXPOSE 8000
CMD ["uvicorn", "src.main:app", "--host", "0.0.0.0"]
