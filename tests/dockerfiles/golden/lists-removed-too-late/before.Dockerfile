FROM debian:bookworm

RUN apt-get update && apt-get install -y gcc make

COPY . /src
RUN make -C /src install

# Clean up
RUN apt-get clean && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/archives

CMD ["daemon"]
