FROM python:3.11-slim AS builder
ENV PATH="/opt/venv/bin:$PATH"
RUN python -m venv /opt/venv
COPY requirements.txt /tmp/
RUN printf '%s\n' torch==2.8.0+cpu > /tmp/cpu-only.txt \
    && sed -e '/^nvidia-/d' -e '/^triton==/d' /tmp/requirements.txt > /tmp/requirements.cpu.txt \
    && pip install \
        --constraint /tmp/cpu-only.txt --extra-index-url https://download.pytorch.org/whl/cpu \
        --no-cache-dir -r /tmp/requirements.cpu.txt \
    && /opt/venv/bin/python -Bc "import torch, importlib.util as u; assert torch.version.cuda is None and not u.find_spec('nvidia')"

FROM python:3.11-slim
COPY --from=builder /opt/venv /opt/venv
ENV PATH="/opt/venv/bin:$PATH"
WORKDIR /app
COPY --chown=nobody:nogroup app ./app
USER nobody
CMD ["python", "-m", "app"]
