export interface Product {
  id: string;
  name: string;
  cents: number;
}

export const products: Product[] = [
  { id: "1", name: "Oak stool", cents: 8900 },
  { id: "2", name: "Linen lamp", cents: 12900 },
  { id: "3", name: "Wool rug", cents: 24900 },
];

export function price(product: Product): string {
  return `€ ${(product.cents / 100).toFixed(2)}`;
}
