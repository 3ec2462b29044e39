/** Whatever stands in a journal, with right checksums or cut anywhere: it is read, or refused with words; nothing hangs or crashes. */
import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { LogagentError } from "../../src/errors.ts";
import { silentLog } from "../../src/observe/log.ts";
import { systemClock } from "../../src/runtime.ts";
import { Journal } from "../../src/state/journal.ts";
import { MemoryFs } from "./memory-fs.ts";

const path = "/state/state.jsonl";

function line(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  return `${text.slice(0, -1)},"crc":"${crc32(text).toString(16).padStart(8, "0")}"}\n`;
}

const number = fc.oneof(fc.integer({ min: 0, max: 6 }), fc.maxSafeNat(), fc.double(), fc.constant(-1));
const hash = fc.record({ from: fc.nat(), length: fc.nat(), hash: fc.string() });
const file = fc.record({
  key: fc.constantFrom("a", "b", "c"),
  input: fc.string(),
  path: fc.string({ unit: "binary" }),
  dev: fc.nat(),
  ino: fc.bigInt({ min: 0n }).map(String),
  birth: fc.bigInt().map(String),
  position: fc.maxSafeNat(),
  line: fc.nat(),
  fingerprint: hash,
  marker: fc.option(hash),
  seen: fc.nat(),
});
/** Mostly right, so that most of it is believed: what is wrong is wrong in one place. */
const checkpoint = fc.record(
  {
    n: number,
    base: number,
    files: fc.array(file, { maxLength: 3 }),
    removed: fc.array(fc.constantFrom("a", "b")),
    confirmed: fc.constantFrom(true, false, 1),
    full: fc.constantFrom(true, false),
  },
  { requiredKeys: ["n", "base", "files"] },
);
const spoiled = fc
  .tuple(checkpoint, fc.constantFrom("n", "base", "files", "removed", "confirmed", "full"), fc.jsonValue())
  .map(([right, key, value]) => ({ ...right, [key]: value }));
const header = fc.constant({ logagent: 1, agent: "a", machine: null, cluster: null, topics: {} });
const entry = fc.oneof(
  { weight: 6, arbitrary: checkpoint },
  { weight: 2, arbitrary: spoiled },
  { weight: 1, arbitrary: header },
  { weight: 1, arbitrary: fc.record({ confirmed: number }) },
  { weight: 1, arbitrary: fc.jsonValue() },
);

/** What became of it: the journal, or the code it was refused with. Anything else thrown is a bug. */
async function open(fs: MemoryFs, fallBack: boolean): Promise<Journal | string> {
  const own = { agent: "a", machine: null, cluster: null, topics: {} };
  try {
    return await Journal.open({ path, fs, clock: systemClock, log: silentLog, fallBack, header: own });
  } catch (error) {
    if (error instanceof LogagentError) return error.code;
    throw error;
  }
}

test("it goes on, or is refused as damaged and left as it is", async () => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 6 }), fc.boolean(), fc.nat(), async (entries, fallBack, cut) => {
      const fs = new MemoryFs();
      const text =
        line({ logagent: 1, agent: "a", machine: null, cluster: null, topics: {} }) + entries.map(line).join("");
      const before = Buffer.from(text).subarray(0, cut % 3 === 0 ? cut % (text.length + 1) : text.length + 1);
      fs.put(path, before);
      const journal = await open(fs, fallBack);
      seen.set(
        String(journal instanceof Journal || journal),
        (seen.get(String(journal instanceof Journal || journal)) ?? 0) + 1,
      );
      if (!(journal instanceof Journal)) {
        expect(journal).toBe("STATE_DAMAGED");
        expect(fs.text(path)).toBe(before.toString());
        return;
      }
      // Each that may be true can be taken for true, and what is written next is read again.
      const pending = journal.pending.at(-1);
      if (pending && reaches(journal, pending.n)) journal.confirm(pending.n);
      const n = journal.nextNumber();
      if (!Number.isSafeInteger(n)) return;
      await journal.append({ n, base: journal.confirmed, files: [], confirmed: true });
      const state = [...journal.state];
      await journal.close();
      const again = await open(fs, fallBack);
      expect(again).toBeInstanceOf(Journal);
      expect([(again as Journal).confirmed, [...(again as Journal).state]]).toEqual([n, state]);
      await (again as Journal).close();
    }),
    { numRuns: 2000 },
  );
  expect(seen.get("true")).toBeGreaterThan(100);
  expect(seen.get("STATE_DAMAGED")).toBeGreaterThan(100);
}, 60_000);

/** Its chain of bases leads to the confirmed one. */
function reaches(journal: Journal, n: number): boolean {
  const bases = new Map(journal.pending.map((one) => [one.n, one.base]));
  let at: number | undefined = n;
  while (at !== undefined && at > journal.confirmed) at = bases.get(at);
  return at === journal.confirmed;
}
