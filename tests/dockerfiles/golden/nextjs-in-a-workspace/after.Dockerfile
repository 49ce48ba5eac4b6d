FROM node:20-slim AS build
WORKDIR /repo
COPY package.json package-lock.json ./
COPY apps/web/package.json apps/web/
RUN npm ci
COPY . .
RUN NEXT_PRIVATE_STANDALONE=true npm run build -w apps/web

FROM node:20-slim
WORKDIR /repo
ENV HOSTNAME=0.0.0.0 PORT=3100
COPY --from=build /repo/apps/web/.next/standalone /repo
COPY --from=build /repo/apps/web/.next/static /repo/apps/web/.next/static
EXPOSE 3100
CMD ["node", "apps/web/server.js"]
