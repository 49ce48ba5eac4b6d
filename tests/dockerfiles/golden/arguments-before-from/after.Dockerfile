ARG PYTHON_VERSION=3.11
ARG VARIANT=slim-bookworm
FROM python:${PYTHON_VERSION}-${VARIANT} AS base
ARG PYTHON_VERSION
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=off

FROM base AS final
ARG APP_HOME=/app
WORKDIR ${APP_HOME}
RUN apt-get -qq update && apt-get -y install --no-install-recommends wget tini \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.txt ./
RUN python${PYTHON_VERSION} -m pip install --no-cache-dir -r requirements.txt; rm requirements.txt
COPY src ${APP_HOME}/src
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "src"]
