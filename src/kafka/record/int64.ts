/** Whole numbers of 64 bits: a number where that is exact, else a bigint. */
export type Int64 = number | bigint;

/** The shortest form of an int64 that may have left the range, which wraps around as Java's long does. */
export function int64(value: bigint): Int64 {
  const wrapped = BigInt.asIntN(64, value);
  const short = Number(wrapped);
  return Number.isSafeInteger(short) ? short : wrapped;
}

/** `a - b`, wrapped around. */
export function difference(a: Int64, b: Int64): Int64 {
  if (typeof a === "number" && typeof b === "number") {
    const result = a - b;
    if (Number.isSafeInteger(result)) return result;
  }
  return int64(BigInt(a) - BigInt(b));
}

/** `a + b`, wrapped around. */
export function sum(a: Int64, b: Int64): Int64 {
  if (typeof a === "number" && typeof b === "number") {
    const result = a + b;
    if (Number.isSafeInteger(result)) return result;
  }
  return int64(BigInt(a) + BigInt(b));
}
