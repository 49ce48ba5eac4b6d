ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-bookworm AS build

ENV PYTHONUNBUFFERED=1
WORKDIR /bot
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt

FROM python:${PYTHON_VERSION}-slim-bookworm

ENV PYTHONUNBUFFERED=1
WORKDIR /bot

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends procps \
    && rm -rf /var/lib/apt/lists/*

COPY --from=build /usr/local/lib/python3.11/site-packages /usr/local/lib/python3.11/site-packages
COPY --from=build /usr/local/bin/aiohttp /usr/local/bin/aiohttp
COPY bot ./bot

HEALTHCHECK --interval=1m CMD pgrep -f bot || exit 1
CMD ["python", "-m", "bot"]
