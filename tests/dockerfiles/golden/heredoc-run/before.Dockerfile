# syntax=docker/dockerfile:1
FROM debian:bookworm-slim

RUN <<EOF
apt-get update
apt-get install -y nginx curl
EOF

RUN <<-"SCRIPT" bash
	echo not a script that is read here
SCRIPT

RUN <<EOF
#!/usr/bin/env bash
set -euo pipefail
apt-get update
apt-get install -y --no-install-recommends \
  python3-pip
pip install --break-system-packages certbot
EOF

RUN <<EOF
#!/usr/bin/python3
print("apt-get install -y vim")
EOF

COPY <<EOF /etc/nginx/conf.d/default.conf
server { listen 8080; }
EOF
CMD ["nginx", "-g", "daemon off;"]
