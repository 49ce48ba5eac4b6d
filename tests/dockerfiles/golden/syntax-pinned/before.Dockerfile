# syntax=docker/dockerfile:1.7
# check=error=true

FROM python:3.12-slim
WORKDIR /app

# Dependencies first, for the build cache
COPY pyproject.toml requirements.lock ./
RUN --mount=type=bind,source=vendor,target=/vendor \
    pip install --no-cache-dir --find-links /vendor -r requirements.lock

COPY . .
RUN --network=none pip install --no-cache-dir --no-deps .

CMD ["python", "-m", "service"]
