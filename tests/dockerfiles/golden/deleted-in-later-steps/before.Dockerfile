FROM debian:12

WORKDIR /opt
RUN apt-get update && apt-get install -y --no-install-recommends wget ca-certificates xz-utils && rm -rf /var/lib/apt/lists/*
# The model server
RUN wget -q https://example.org/server-4.2.tar.xz
# Only the binaries are needed
RUN tar xf server-4.2.tar.xz \
    && mv server-4.2/bin/* /usr/local/bin/

RUN rm -rf /opt/server-4.2 /opt/server-4.2.tar.xz
USER nobody
CMD ["server"]
