FROM node:18-bullseye AS build

WORKDIR /app
ENV NODE_ENV=development
COPY package.json yarn.lock ./
RUN yarn install --frozen-lockfile --network-timeout 600000
COPY . .
RUN yarn build && yarn cache clean \
    && yarn install --production --ignore-scripts --prefer-offline

FROM node:18-bullseye-slim

WORKDIR /app
ENV NODE_ENV=development

COPY --from=build /app /app

ENV NODE_ENV=production
CMD ["yarn", "start:prod"]
