FROM python:3.11-slim

ENV APP_HOME=/app
WORKDIR $APP_HOME

COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

COPY . $APP_HOME

# Never run as root
RUN groupadd --gid 1000 app && \
    useradd --uid 1000 --gid app --create-home app && \
    chown -R app:app $APP_HOME

USER app
CMD ["python", "manage.py", "runserver"]
