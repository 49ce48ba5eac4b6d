ARG CUDA=12.1.1
FROM nvidia/cuda:${CUDA}-devel-ubuntu22.04

ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --no-install-recommends \
        build-essential \
        cmake \
        ffmpeg \
        git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/whisper.cpp
RUN git clone --depth 1 --branch v1.6.2 https://github.com/ggerganov/whisper.cpp . \
    && cmake -B build -DWHISPER_CUDA=1 \
    && cmake --build build --config Release \
    && cp build/bin/server /usr/local/bin/whisper-server

EXPOSE 8080
CMD ["whisper-server", "--host", "0.0.0.0"]
