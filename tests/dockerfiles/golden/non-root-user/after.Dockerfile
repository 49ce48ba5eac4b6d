FROM python:3.11-slim AS build

ARG UID=10001
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid "${UID}" --create-home worker

USER worker
WORKDIR /home/worker/app
ENV PATH="/home/worker/.local/bin:$PATH"

COPY --chown=worker requirements.txt .
RUN pip install --user --no-cache-dir -r requirements.txt

FROM python:3.11-slim

ARG UID=10001
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid "${UID}" --create-home worker

USER worker
WORKDIR /home/worker/app
ENV PATH="/home/worker/.local/bin:$PATH"

COPY --from=build --chown=worker:worker /home/worker/.local /home/worker/.local

COPY --chown=worker . .

ENTRYPOINT ["tini", "--"]
CMD ["celery", "--app", "jobs", "worker"]
