FROM node:20-slim AS build
ENV PNPM_HOME=/pnpm PATH=/pnpm:$PATH
RUN corepack enable
WORKDIR /srv/api
COPY package.json pnpm-lock.yaml ./
RUN pnpm install --frozen-lockfile
COPY . .
RUN pnpm run build \
    && pnpm prune --prod

FROM node:20-slim
ENV PNPM_HOME=/pnpm PATH=/pnpm:$PATH
WORKDIR /srv/api
COPY --from=build /srv/api /srv/api
EXPOSE 4000
CMD ["node", "dist/main.js"]
