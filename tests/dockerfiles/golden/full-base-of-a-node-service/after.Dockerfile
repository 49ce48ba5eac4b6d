FROM node:20-slim

WORKDIR /app
COPY dist ./dist
USER node
CMD ["node", "dist/main.js"]
