/**
 * What stands against the order of the rooms today. Nothing may be added: an arrow that is gone is taken off the list, and when
 * the lists are empty so may this file be.
 */

/** `file → file`, most of them types that lie in the room of who used them first. */
export const debts: readonly string[] = [
  "src/kafka/protocol/produce.ts → src/kafka/producer/producer-batch.ts",
  "src/tail/discovery/network-files.ts → src/tail/files/network-source.ts",
  "src/tail/files/decisions.ts → src/tail/rotation/context.ts",
  "src/tail/files/decisions.ts → src/tail/rotation/evidence.ts",
  "src/tail/files/decisions.ts → src/tail/rotation/find-copy.ts",
  "src/tail/files/unreachable-mounts.ts → src/tail/rotation/context.ts",
  "src/tail/identity/fingerprint.ts → src/tail/files/pending.ts",
  "src/tail/identity/fingerprint.ts → src/tail/source/compressed.ts",
  "src/tail/identity/fingerprint.ts → src/tail/source/decoder.ts",
];

/** Files of one room that import each other in a circle; a part of one of these groups is no new circle. */
export const knownCircles: readonly (readonly string[])[] = [
  [
    "src/tail/rotation/compare.ts",
    "src/tail/rotation/context.ts",
    "src/tail/rotation/follow.ts",
    "src/tail/rotation/foreign-files.ts",
  ],
  ["src/tail/lines/encoding.ts", "src/tail/lines/scan.ts"],
  ["src/tail/lines/hole.ts", "src/tail/lines/long-line.ts", "src/tail/lines/reader.ts"],
  ["src/commands/completion.ts", "src/commands/completion/scripts.ts", "src/commands/index.ts"],
];
