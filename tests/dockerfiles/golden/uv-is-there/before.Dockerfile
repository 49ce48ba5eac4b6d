FROM python:3.12-slim
COPY --from=ghcr.io/astral-sh/uv:0.5.4 /uv /usr/local/bin/uv

WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN pip install --no-cache-dir -r requirements.txt -c constraints.txt
RUN pip install --no-cache-dir --user pytest
RUN pip install --extra-index-url https://pypi.example.org/simple internal
RUN uv pip install --system ruff
COPY . .
RUN pip install -e .
CMD ["python", "-m", "app"]
