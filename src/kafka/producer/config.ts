/** How a producer collects and sends, whoever asks for it. */

export type Acks = 0 | 1 | -1;
export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

export interface ProducerConfig {
  acks: Acks;
  compression: Compression;
  /** Codec's own level; undefined: its default. */
  compressionLevel?: number;
  /** Milliseconds a batch waits for more records. */
  lingerMs: number;
  /** Largest batch in bytes, before compression. Default 1 000 000. */
  batchBytes: number;
  /** Bytes of unsettled batches held in memory. Default 32 MiB. */
  memoryBytes: number;
}
