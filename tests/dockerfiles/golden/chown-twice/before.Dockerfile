FROM debian:bookworm-slim
WORKDIR /app
COPY d1 ./
RUN chown -R daemon:daemon /app
RUN chown -R www-data:www-data /app
