FROM alpine:3.18

RUN apk add --no-cache python3 py3-pip \
    tzdata
RUN apk add --no-cache --virtual .build gcc musl-dev && pip install --no-cache-dir uwsgi && apk del .build
RUN apk add --no-cache curl && apk upgrade --no-cache

COPY . /app
CMD ["uwsgi", "--ini", "/app/uwsgi.ini"]
