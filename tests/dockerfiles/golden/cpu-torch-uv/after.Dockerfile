FROM python:3.11-slim
RUN pip install --no-cache-dir uv==0.8.13
WORKDIR /app
COPY pyproject.toml README.md ./
COPY src ./src
RUN printf '%s\n' torch==2.8.0+cpu > /tmp/cpu-only.txt \
    && uv pip install \
        --constraint /tmp/cpu-only.txt \
        --extra-index-url https://download.pytorch.org/whl/cpu \
        --index-strategy unsafe-best-match \
        --system --no-cache . \
    && python3 -Bc "import torch, importlib.util as u; assert torch.version.cuda is None and not u.find_spec('nvidia')"
CMD ["serve"]
