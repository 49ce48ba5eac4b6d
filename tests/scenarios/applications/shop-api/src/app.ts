import compression from "compression";
import express, { type NextFunction, type Request, type Response } from "express";
import helmet from "helmet";
import { log } from "./log";
import { orders } from "./routes/orders";
import { products } from "./routes/products";

export function createApp() {
  const app = express();
  app.use(helmet(), compression(), express.json());
  app.get("/health", (_request, response) => {
    response.json({ status: "ok" });
  });
  app.use("/products", products);
  app.use("/orders", orders);
  app.use((_request, response) => {
    response.status(404).json({ error: "not found" });
  });
  // Express knows an error handler by its four parameters.
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
    log.error(error);
    response.status(500).json({ error: "internal error" });
  });
  return app;
}
