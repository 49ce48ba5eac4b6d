FROM python:3.11-slim AS build

ENV PYTHONUNBUFFERED=1

WORKDIR /srv/reports

# psycopg2 is built from source
RUN apt-get update && apt-get install -y \
    curl \
    gcc \
    libpq-dev \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home app && chown app:app /srv/reports
COPY --chown=app:app requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1

WORKDIR /srv/reports

RUN apt-get update && apt-get install -y \
    curl \
    libpq5 \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home app && chown app:app /srv/reports

COPY --from=build /usr/local/lib/python3.11/site-packages /usr/local/lib/python3.11/site-packages
COPY --from=build /usr/local/bin/gunicorn /usr/local/bin/gunicorn

COPY --chown=app:app . .
USER app

EXPOSE 8000
HEALTHCHECK CMD curl --fail http://localhost:8000/health || exit 1
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "reports.wsgi"]
