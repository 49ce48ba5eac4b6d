FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="geocoder"
EXPOSE 8080

# build
RUN set -eux; \
    apt-get update; \
    apt-get install -y --no-install-recommends build-essential ca-certificates cmake curl libicu-dev libsqlite3-dev; \
    rm -rf /var/lib/apt/lists/*
RUN curl -fsSL https://example.org/geocoder-2.1.tar.gz | tar xz -C /usr/src \
    && cmake -S /usr/src/geocoder-2.1 -B /tmp/build \
    && cmake --build /tmp/build --target install \
    && ldconfig

# run
RUN mkdir -p /data && groupadd -r geo && useradd -r -g geo geo && chown geo /data
USER geo
VOLUME /data
CMD ["geocoder", "--listen", ":8080", "/data/world.db"]
