FROM python:3.11-slim
WORKDIR /app
COPY requirements/ requirements/
RUN sed -i -e 's/^onnxruntime-gpu==/onnxruntime==/' -e 's/^xgboost>=/xgboost-cpu>=/' requirements/base.txt \
    && pip install --no-cache-dir -r requirements/production.txt \
    && python3 -Bc "import importlib.util as u; assert not u.find_spec('nvidia')"
COPY . .
CMD ["gunicorn", "config.wsgi"]
