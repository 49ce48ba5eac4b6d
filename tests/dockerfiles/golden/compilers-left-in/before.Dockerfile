FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1

WORKDIR /srv/reports

# psycopg2 is built from source
RUN apt-get update && apt-get install -y \
    curl \
    gcc \
    libpq-dev \
    && rm -rf /var/lib/apt/lists/*

COPY requirements.txt .
RUN pip install -r requirements.txt

COPY . .
RUN useradd --create-home app && chown -R app:app /srv/reports
USER app

EXPOSE 8000
HEALTHCHECK CMD curl --fail http://localhost:8000/health || exit 1
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "reports.wsgi"]
