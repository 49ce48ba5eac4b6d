FROM node:20 AS build

WORKDIR /app

RUN apt-get update && apt-get install -y --no-install-recommends python3 make g++ && rm -rf /var/lib/apt/lists/*

COPY package*.json ./
RUN npm ci

COPY . .
RUN npm run build \
    && npm prune --omit=dev

FROM node:20-slim

WORKDIR /app

COPY --from=build --chown=node:node /app /app

ENV NODE_ENV=production
EXPOSE 3000
RUN chown node:node /app
USER node
CMD ["npm", "start"]
