FROM node:20

WORKDIR /home/node/app
RUN mkdir -p logs uploads/tmp

COPY package*.json ./
COPY . .

RUN chown -R node:node /home/node/app

USER node
CMD ["node", "index.js"]
