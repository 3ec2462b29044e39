/** Defects to plant in the tailer's judgement: each must be found by the simulation's oracle. */

import type { Judgement } from "../../src/tail/files/decisions.ts";
import { matchContent } from "../../src/tail/identity/fingerprint.ts";
import { sameFile } from "../../src/tail/identity/identity.ts";

export const planted: Record<string, Partial<Judgement>> = {
  "truncation is ignored": { shrank: () => false, isStill: () => true, keepsRead: () => true },
  "the old file is dropped at its rename": { endsWithName: () => true },
  "what lies before the position is not compared": {
    match: (content, expected) => matchContent(content, { ...expected, marker: null }),
    keepsRead: () => true,
  },
  "the copy is forgotten": { recover: () => false },
  "an incomplete line is flushed": { isFinal: () => true },
  "a save over the name is a new file": { precedes: () => false },
  "the birth time is ignored": { sameFile: (a, b) => sameFile(a, b, false) },
};
