FROM node:18-alpine
RUN apk add --no-cache git
WORKDIR /app
COPY package.json yarn.lock ./
RUN yarn install --frozen-lockfile \
    && yarn cache clean
COPY . .
RUN yarn build
CMD ["yarn", "start"]
