FROM node:20-slim

WORKDIR /app
COPY --chown=node:root package.json package-lock.json ./
RUN npm ci --omit=dev && npm cache clean --force \
    && chown -R node /app/node_modules
COPY --chown=node:root --chmod=644 . .
RUN chown node /app && chmod -R 755 /app/bin

USER node
CMD ["node", "server.js"]
