FROM node:20

WORKDIR /home/node/app
RUN mkdir -p logs uploads/tmp

COPY --chown=node:node package*.json ./
COPY --chown=node:node . .

RUN chown node:node /home/node/app /home/node/app/logs /home/node/app/uploads /home/node/app/uploads/tmp

USER node
CMD ["node", "index.js"]
