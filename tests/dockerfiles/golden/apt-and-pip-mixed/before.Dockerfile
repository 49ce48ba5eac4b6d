FROM python:3.10-slim
LABEL maintainer="team@example.org"

ENV PYTHONUNBUFFERED=1

# System packages
RUN apt-get update && apt-get install -y \
    # for psycopg2
    libpq5 \
    curl \
    git && \
    apt-get clean && pip install --upgrade pip

WORKDIR /usr/src/app
COPY requirements/ requirements/
RUN pip install -r requirements/production.txt
RUN python -m pip install "gunicorn[gevent]==21.2.*"

COPY . .
EXPOSE 8000
CMD gunicorn --workers 4 -b :8000 config.wsgi
