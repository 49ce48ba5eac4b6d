FROM python:3.11
WORKDIR /app
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*
COPY requirements.txt requirements.txt
RUN printf '%s\n' torch==2.8.0+cpu > /tmp/cpu-only.txt && \
    pip install --no-cache-dir --upgrade pip && \
    pip install \
        --constraint /tmp/cpu-only.txt --extra-index-url https://download.pytorch.org/whl/cpu \
        --no-cache-dir -r requirements.txt "uvicorn[standard]" && \
    python3 -Bc "import torch, importlib.util as u; assert torch.version.cuda is None and not u.find_spec('nvidia')"
COPY . .
CMD ["python", "main.py"]
