FROM python:3.11-slim
RUN pip install --no-cache-dir uv==0.8.13
WORKDIR /app
COPY pyproject.toml README.md ./
COPY src ./src
RUN uv pip install --system --no-cache .
CMD ["serve"]
