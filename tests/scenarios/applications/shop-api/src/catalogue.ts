export interface Product {
  id: number;
  name: string;
  category: string;
  cents: number;
}

export const catalogue: Product[] = [
  { id: 1, name: "Assam, 100 g", category: "tea", cents: 790 },
  { id: 2, name: "Sencha, 100 g", category: "tea", cents: 1190 },
  { id: 3, name: "Teapot", category: "pottery", cents: 3900 },
  { id: 4, name: "Cup", category: "pottery", cents: 1450 },
];
