FROM debian:bookworm-slim
RUN apt-get update
RUN cat <<EOF > /srv/conf && apt-get install -y --no-install-recommends tini
hello
EOF
