FROM python:3.11-slim

WORKDIR /code

COPY ./requirements.txt /code/requirements.txt

RUN sed 's/^onnxruntime-gpu==/onnxruntime==/' /code/requirements.txt > /tmp/requirements.cpu.txt \
    && pip install --no-cache-dir --upgrade -r /tmp/requirements.cpu.txt

COPY ./app /code/app

CMD ["fastapi", "run", "app/main.py", "--port", "80"]
