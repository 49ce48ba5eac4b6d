FROM alpine:3.20
RUN rm /nonexistent; apk update && apk add bash
