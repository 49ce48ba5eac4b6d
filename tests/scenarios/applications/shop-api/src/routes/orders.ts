import { Router } from "express";
import { z } from "zod";
import { catalogue } from "../catalogue";

const Order = z.object({
  lines: z.array(z.object({ product: z.number().int(), amount: z.number().int().positive() })).nonempty(),
});

export const orders = Router();

orders.post("/", (request, response) => {
  const order = Order.safeParse(request.body);
  if (!order.success) {
    response.status(422).json({ error: order.error.issues });
    return;
  }
  const price = new Map(catalogue.map((product) => [product.id, product.cents]));
  if (order.data.lines.some((line) => !price.has(line.product))) {
    response.status(404).json({ error: "no such product" });
    return;
  }
  const cents = order.data.lines.reduce((sum, line) => sum + line.amount * price.get(line.product)!, 0);
  response.status(201).json({ cents });
});
