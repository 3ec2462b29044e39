/** Memory for exactly so many bytes, their content undefined. */
export type Allocate = (bytes: number) => Buffer;
