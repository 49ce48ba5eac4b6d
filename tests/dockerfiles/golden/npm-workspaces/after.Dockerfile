# syntax=docker/dockerfile:1
FROM node:20-slim AS build
WORKDIR /repo

COPY package.json package-lock.json ./
COPY packages/api/package.json packages/api/
COPY packages/shared/package.json packages/shared/
RUN npm ci

COPY packages packages
RUN npm run build --workspaces \
    && npm prune --omit=dev

FROM node:20-slim
WORKDIR /repo

COPY --from=build /repo /repo

EXPOSE 8080
WORKDIR /repo/packages/api
CMD ["node", "dist/index.js"]
