FROM alpine:3.20
RUN rm /nonexistent; apk add --no-cache bash
