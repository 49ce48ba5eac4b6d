FROM python:3.11-slim
RUN set -eux; \
	apt-get update; \
	apt-get install -y --no-install-recommends gcc libc6-dev libpq-dev libpq5; \
	rm -rf /var/lib/apt/lists/*; \
	pip install --no-cache-dir psycopg2==2.9.9; \
	apt-get purge -y --auto-remove gcc libc6-dev libpq-dev
COPY app.py /
CMD ["python", "/app.py"]
