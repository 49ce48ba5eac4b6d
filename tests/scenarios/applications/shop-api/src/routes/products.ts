import { Router } from "express";
import { catalogue } from "../catalogue";

export const products = Router();

products.get("/", (request, response) => {
  const { category } = request.query;
  response.json(category === undefined ? catalogue : catalogue.filter((product) => product.category === category));
});

products.get("/:id", (request, response) => {
  const product = catalogue.find((candidate) => candidate.id === Number(request.params.id));
  if (product) {
    response.json(product);
  } else {
    response.status(404).json({ error: "no such product" });
  }
});
