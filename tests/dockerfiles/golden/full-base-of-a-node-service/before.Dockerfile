FROM node:20

WORKDIR /app
COPY dist ./dist
USER node
CMD ["node", "dist/main.js"]
