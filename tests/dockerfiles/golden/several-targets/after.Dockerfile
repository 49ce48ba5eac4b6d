FROM python:3.12-slim AS base
RUN apt-get update && apt-get install -y --no-install-recommends libmagic1 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

FROM base AS test
COPY requirements-test.txt .
RUN apt-get update && apt-get install -y make && rm -rf /var/lib/apt/lists/* && pip install -r requirements-test.txt
COPY . .
CMD ["make", "test"]

FROM base AS worker
COPY . .
CMD ["celery", "-A", "app", "worker"]

FROM base AS web
COPY . .
RUN pip install gunicorn
CMD ["gunicorn", "app:app"]
