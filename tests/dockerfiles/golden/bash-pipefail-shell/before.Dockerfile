FROM ubuntu:20.04

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive

RUN apt-get update \
 && apt-get install -y \
      curl \
      gnupg \
 && curl -fsSL https://packages.example.com/gpgkey/nodesource.gpg.key | gpg --dearmor -o /usr/share/keyrings/nodesource.gpg \
 && echo "deb [signed-by=/usr/share/keyrings/nodesource.gpg] https://packages.example.com/node_18.x focal main" > /etc/apt/sources.list.d/nodesource.list \
 && apt-get update \
 && apt-get install -y nodejs

WORKDIR /app
COPY package.json package-lock.json ./
RUN if [ "$NODE_ENV" = production ]; then npm ci --only=production; else npm ci; fi
COPY . .
RUN npm ci && npm run build
CMD ["node", "dist/main.js"]
