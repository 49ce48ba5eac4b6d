import Image from "next/image";
import Link from "next/link";
import { price, products } from "@/lib/products";

export default function Home() {
  return (
    <>
      <Image src="/logo.svg" alt="" width={96} height={96} unoptimized />
      <h1>Furniture made to last</h1>
      <ul>
        {products.map((product) => (
          <li key={product.id}>
            <Link href={`/products/${product.id}`}>{product.name}</Link> {price(product)}
          </li>
        ))}
      </ul>
    </>
  );
}
