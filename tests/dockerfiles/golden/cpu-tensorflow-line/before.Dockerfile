FROM python:3.11
WORKDIR /app
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 \
    && pip install --no-cache-dir \
        'tensorflow[and-cuda]==2.19.0' \
        opencv-python-headless==4.11.0.86 \
        nvidia-cudnn-cu12 \
    && rm -rf /var/lib/apt/lists/*
COPY detect.py .
ENTRYPOINT ["python", "detect.py"]
