FROM rust:1.75

WORKDIR /srv
COPY Cargo.toml Cargo.lock ./
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release && cp target/release/api /usr/local/bin/
RUN apt-get update && apt-get install -y --no-install-recommends npm python3-pip && rm -rf /var/lib/apt/lists/*
COPY web web
RUN --mount=type=cache,target=/root/.npm \
    cd web \
    && npm ci \
    && npm run build
RUN PIP_NO_CACHE_DIR=1 pip install ansible
RUN --mount=type=cache,target=/root/.cache/pip \
    pip3 install --break-system-packages -r web/requirements.txt
RUN --mount=type=cache,target=/root/.cache pip3 install --break-system-packages tox
USER www-data
RUN pip3 install --no-cache-dir --user boto3
CMD ["api"]
