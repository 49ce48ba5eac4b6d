import request from "supertest";
import { createApp } from "../src/app";

test("lists a category", async () => {
  const response = await request(createApp()).get("/products?category=tea");
  expect(response.body).toHaveLength(2);
});

test("refuses an empty order", async () => {
  await request(createApp()).post("/orders").send({ lines: [] }).expect(422);
});
