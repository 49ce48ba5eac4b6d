FROM debian:bookworm-slim
WORKDIR /app
COPY --chown=daemon:daemon d1 ./
RUN chown daemon:daemon /app
RUN chown -R www-data:www-data /app
