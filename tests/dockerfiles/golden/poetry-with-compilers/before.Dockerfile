FROM python:3.11

ENV POETRY_VERSION=1.8.3 \
    PYTHONDONTWRITEBYTECODE=1

RUN apt-get update && apt-get install --no-install-recommends -y build-essential libpq-dev && rm -rf /var/lib/apt/lists/*
RUN curl -sSL https://install.python-poetry.org | python3 -
ENV PATH="/root/.local/bin:$PATH"

WORKDIR /app
COPY pyproject.toml poetry.lock ./
RUN poetry config virtualenvs.create false \
    && poetry install --only main --no-interaction --no-ansi --no-cache

COPY . .

EXPOSE 8000
CMD ["uvicorn", "billing.main:app", "--host", "0.0.0.0", "--port", "8000"]
