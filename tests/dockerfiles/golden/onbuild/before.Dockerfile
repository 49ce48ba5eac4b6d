FROM node:18-slim
WORKDIR /app
ONBUILD COPY package*.json ./
ONBUILD RUN apt-get update && apt-get install -y git && npm install
ONBUILD COPY . .
RUN npm install -g pm2@5
CMD ["pm2-runtime", "start", "server.js"]
