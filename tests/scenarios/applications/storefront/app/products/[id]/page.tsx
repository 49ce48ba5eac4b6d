import { notFound } from "next/navigation";
import { Basket } from "@/components/Basket";
import { price, products } from "@/lib/products";

export default async function ProductPage({ params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  const product = products.find((candidate) => candidate.id === id);
  if (!product) notFound();
  return (
    <>
      <h1>{product.name}</h1>
      <p>{price(product)}</p>
      <Basket name={product.name} />
    </>
  );
}
