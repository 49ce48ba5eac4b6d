# syntax=docker/dockerfile:1
FROM node:20-slim
WORKDIR /repo

COPY package.json package-lock.json ./
COPY packages/api/package.json packages/api/
COPY packages/shared/package.json packages/shared/
RUN npm ci

COPY packages packages
RUN npm run build --workspaces

EXPOSE 8080
WORKDIR /repo/packages/api
CMD ["node", "dist/index.js"]
