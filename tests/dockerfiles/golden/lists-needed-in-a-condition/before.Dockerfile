FROM debian:bookworm-slim
ARG WITH_TOOLS=
RUN apt-get update && apt-get install -y --no-install-recommends tini
RUN if [ -n "$WITH_TOOLS" ]; then apt-get install -y --no-install-recommends strace; fi
ENTRYPOINT ["tini", "--"]
