FROM ubuntu:24.04
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv libpython3.12-dbg && rm -rf /var/lib/apt/lists/* /usr/lib/debug
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir torch \
    && find /opt/venv/lib/python3.12/site-packages -type f \( -name '*.a' -o -name '*.h' -o -name '*.hpp' -o -name '*.cuh' \) -delete
COPY . /app
CMD ["/opt/venv/bin/python", "/app/main.py"]
