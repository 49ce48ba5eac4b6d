FROM debian:bookworm-slim
RUN apt-get update && \
    apt-get install -y --no-install-recommends make && \
    if [ "$(uname -m)" = x86_64 ]; then apt-get install -y --no-install-recommends tini; fi
