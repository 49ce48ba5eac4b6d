FROM alpine:3.18

RUN apk update && apk add python3 py3-pip \
    tzdata
RUN apk add --no-cache --virtual .build gcc musl-dev && pip install uwsgi && apk del .build
RUN apk add -U curl && apk upgrade

COPY . /app
CMD ["uwsgi", "--ini", "/app/uwsgi.ini"]
