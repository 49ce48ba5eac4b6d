FROM node:20-slim

WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev && npm cache clean --force
COPY --chmod=644 . .
RUN chown -R node /app && chmod -R 755 /app/bin

USER node
CMD ["node", "server.js"]
