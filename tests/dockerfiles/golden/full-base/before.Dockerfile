ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-bookworm

ENV PYTHONUNBUFFERED=1
WORKDIR /bot
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY bot ./bot

HEALTHCHECK --interval=1m CMD pgrep -f bot || exit 1
CMD ["python", "-m", "bot"]
