ARG PYTHON_VERSION=3.11
ARG VARIANT=slim-bookworm
FROM python:${PYTHON_VERSION}-${VARIANT} AS base
ARG PYTHON_VERSION
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=off

FROM base AS final
ARG APP_HOME=/app
WORKDIR ${APP_HOME}
RUN apt-get -qq update && apt-get -y install wget tini
COPY requirements.txt ./
RUN python${PYTHON_VERSION} -m pip install -r requirements.txt; rm requirements.txt
COPY src ${APP_HOME}/src
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "src"]
