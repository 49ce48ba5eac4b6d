FROM ubuntu:22.04

ARG DEBIAN_FRONTEND=noninteractive

# ffmpeg decodes what users upload
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/*
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-pip wget \
    && rm -rf /var/lib/apt/lists/*

COPY requirements.txt /tmp/
RUN pip3 install --no-cache-dir -r /tmp/requirements.txt
COPY . /srv/app
WORKDIR /srv/app
CMD ["python3", "worker.py"]
