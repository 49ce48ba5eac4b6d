FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1
WORKDIR /app

# Torch first, so that its layer is cached.
RUN pip install --no-cache-dir torch torchaudio --index-url https://download.pytorch.org/whl/cu128

COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

COPY src/ ./src/
EXPOSE 8000
CMD ["uvicorn", "src.main:app", "--host", "0.0.0.0"]
