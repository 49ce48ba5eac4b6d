FROM python:3.11-slim
WORKDIR /srv
COPY requirements.txt .
RUN --mount=type=bind,from=cpu-wheels,target=/tmp/cpu-wheels \
    --mount=type=cache,target=/root/.cache/pip \
    printf '%s\n' torch==2.13.0+cpu > /tmp/cpu-only.txt \
    && pip install --constraint /tmp/cpu-only.txt --find-links /tmp/cpu-wheels -r requirements.txt \
    && python3 -Bc "import torch, importlib.util as u; assert torch.version.cuda is None and not u.find_spec('nvidia')"
COPY . .
CMD ["gunicorn", "wsgi:app"]
