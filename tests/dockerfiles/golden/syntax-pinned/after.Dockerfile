# syntax=docker/dockerfile:1.7
# check=error=true

FROM python:3.12-slim
WORKDIR /app

# Dependencies first, for the build cache
COPY pyproject.toml requirements.lock ./
RUN --mount=type=bind,source=vendor,target=/vendor \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --find-links /vendor -r requirements.lock

COPY . .
RUN --network=none --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps .

CMD ["python", "-m", "service"]
