FROM python:3.12-slim AS base
RUN apt-get update && apt-get install -y libmagic1
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt

FROM base AS test
COPY requirements-test.txt .
RUN apt-get install -y make && pip install -r requirements-test.txt
COPY . .
CMD ["make", "test"]

FROM base AS worker
COPY . .
CMD ["celery", "-A", "app", "worker"]

FROM base AS web
COPY . .
RUN pip install gunicorn
CMD ["gunicorn", "app:app"]
