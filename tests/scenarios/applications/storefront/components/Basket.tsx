"use client";

import { useState } from "react";

export function Basket({ name }: { name: string }) {
  const [amount, setAmount] = useState(0);
  return (
    <button type="button" onClick={() => setAmount(amount + 1)}>
      {amount === 0 ? `Put ${name} into the basket` : `${amount} in the basket`}
    </button>
  );
}
