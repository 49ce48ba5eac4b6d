FROM node:20-slim
WORKDIR /repo
COPY package.json package-lock.json ./
COPY apps/web/package.json apps/web/
RUN npm ci
COPY . .
RUN npm run build -w apps/web
EXPOSE 3100
CMD ["npm", "run", "start", "-w", "apps/web"]
