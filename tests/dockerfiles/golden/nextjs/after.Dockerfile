FROM node:20 AS build
WORKDIR /app

# dependencies
COPY package.json package-lock.json ./
RUN npm ci

# build
COPY . .
ENV NEXT_TELEMETRY_DISABLED=1
RUN NEXT_PRIVATE_STANDALONE=true npm run build

FROM node:20-slim
WORKDIR /app
ENV NEXT_TELEMETRY_DISABLED=1
ENV HOSTNAME=0.0.0.0

COPY --from=build /app/.next/standalone /app
COPY --from=build /app/.next/static /app/.next/static
COPY --from=build /app/public /app/public

# run
EXPOSE 3000
USER node
CMD ["node", "server.js"]
