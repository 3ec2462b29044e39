/**
 * The binding behind a stream of `node:zlib`, which works synchronously and into memory of ours, as `processChunkSync` in
 * Node's lib/zlib.js has it do. What is used of it is declared here and looked for by `bindingOf`.
 */

/** Part of Node's `CompressionStream` (src/node_zlib.cc). */
export interface Binding {
  onerror: (message: string, errno: number, code: string) => void;
  reset(): void;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputFrom: number,
    inputBytes: number,
    output: Uint8Array,
    outputFrom: number,
    outputBytes: number,
  ): void;
}

/** What the binding leaves after each call: bytes free in the output, bytes left of the input. */
export type WriteState = Uint32Array;

/** Throws where the runtime's `node:zlib` has none. `name`: for the message. */
export function bindingOf(stream: unknown, name: string): { binding: Binding; state: WriteState } {
  const { _handle: binding, _writeState: state } = stream as { _handle?: Binding; _writeState?: WriteState };
  const fits = typeof binding?.writeSync === "function" && typeof binding.reset === "function" && state?.length === 2;
  if (!fits) throw new Error(`${name}: this runtime's node:zlib has no binding that works synchronously`);
  return { binding, state };
}
