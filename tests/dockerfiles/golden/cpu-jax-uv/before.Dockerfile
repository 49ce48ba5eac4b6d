FROM python:3.12-slim
COPY --from=ghcr.io/astral-sh/uv:0.8.13 /uv /usr/local/bin/uv
WORKDIR /app
RUN <<EOF
set -e
uv venv /opt/venv
uv pip install --python /opt/venv/bin/python "jax[cuda12]==0.6.2" flax==0.10.6
EOF
ENV PATH="/opt/venv/bin:$PATH"
COPY simulate.py .
CMD ["python", "simulate.py"]
