FROM python:3.11-slim

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt \
    && find /usr/local/lib/python3.11/site-packages -type d -name tests -prune -exec rm -rf '{}' +
COPY . .
RUN pip install --no-cache-dir --no-deps .
CMD ["python", "-m", "forecast"]
