FROM python:3.11
WORKDIR /app
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 \
    && pip install --no-cache-dir \
        'tensorflow-cpu==2.19.0' \
        opencv-python-headless==4.11.0.86 \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -Bc "import importlib.util as u; assert not u.find_spec('nvidia')"
COPY detect.py .
ENTRYPOINT ["python", "detect.py"]
