/** How much of what two paths hold was compared, and whether that proves that one was made from the other. */

export interface Evidence {
  /** Bytes from the beginning that are equal. */
  equal: number;
  /** They are all that either of them holds. */
  whole: boolean;
}

/** Bytes of equal content that prove a copy which is shorter than its original. */
const provingBytes = 1024;

/** Whole equality or a kilobyte of it. Nothing, as of what could not be decoded, proves nothing. */
export function proves({ equal, whole }: Evidence): boolean {
  return equal >= provingBytes || (whole && equal > 0);
}
