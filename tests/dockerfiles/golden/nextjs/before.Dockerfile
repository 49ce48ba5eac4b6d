FROM node:20
WORKDIR /app

# dependencies
COPY package.json package-lock.json ./
RUN npm ci

# build
COPY . .
ENV NEXT_TELEMETRY_DISABLED=1
RUN npm run build

# run
EXPOSE 3000
USER node
CMD ["npm", "start"]
