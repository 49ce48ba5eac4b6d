FROM node:20-bookworm-slim AS build
RUN corepack enable
WORKDIR /app
COPY .yarnrc.yml package.json yarn.lock ./
RUN yarn install --immutable
COPY . .
RUN yarn build \
    && yarn workspaces focus --production

FROM node:20-bookworm-slim
RUN corepack enable
WORKDIR /app
COPY --from=build /app /app
CMD ["yarn", "start"]
