FROM node:18-bullseye

WORKDIR /app
ENV NODE_ENV=development
COPY package.json yarn.lock ./
RUN yarn install --frozen-lockfile --network-timeout 600000
COPY . .
RUN yarn build && yarn cache clean

ENV NODE_ENV=production
CMD ["yarn", "start:prod"]
