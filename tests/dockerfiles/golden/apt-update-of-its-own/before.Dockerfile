FROM ubuntu:22.04

ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update

# ffmpeg decodes what users upload
RUN apt-get install -y ffmpeg
RUN apt-get install -y python3 python3-pip wget

COPY requirements.txt /tmp/
RUN pip3 install -r /tmp/requirements.txt
COPY . /srv/app
WORKDIR /srv/app
CMD ["python3", "worker.py"]
