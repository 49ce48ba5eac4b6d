FROM node:20-bookworm-slim
RUN corepack enable
WORKDIR /app
COPY .yarnrc.yml package.json yarn.lock ./
RUN yarn install --immutable
COPY . .
RUN yarn build
CMD ["yarn", "start"]
