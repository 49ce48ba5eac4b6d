FROM python:3.12-slim
COPY --from=ghcr.io/astral-sh/uv:0.8.13 /uv /usr/local/bin/uv
WORKDIR /app
RUN <<EOF
set -e
uv venv /opt/venv
uv pip install --python /opt/venv/bin/python "jax==0.6.2" flax==0.10.6
/opt/venv/bin/python -Bc "import importlib.util as u; assert not u.find_spec('nvidia')"
EOF
ENV PATH="/opt/venv/bin:$PATH"
COPY simulate.py .
CMD ["python", "simulate.py"]
