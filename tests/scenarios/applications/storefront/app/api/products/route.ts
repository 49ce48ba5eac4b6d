import { NextResponse, type NextRequest } from "next/server";
import { products } from "@/lib/products";

export function GET(request: NextRequest) {
  const most = Number(request.nextUrl.searchParams.get("most") ?? Infinity);
  return NextResponse.json(products.filter((product) => product.cents <= most));
}
