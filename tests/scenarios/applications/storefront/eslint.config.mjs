import { FlatCompat } from "@eslint/eslintrc";

export default [...new FlatCompat().extends("next/core-web-vitals", "next/typescript")];
