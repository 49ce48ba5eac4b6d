FROM ubuntu:24.04
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv libpython3.12-dbg && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir torch
COPY . /app
CMD ["/opt/venv/bin/python", "/app/main.py"]
