import { createApp } from "./app";
import { log } from "./log";

const port = Number(process.env.PORT ?? 3000);
const server = createApp().listen(port, () => log.info({ port }, "listening"));

process.on("SIGTERM", () => server.close());
