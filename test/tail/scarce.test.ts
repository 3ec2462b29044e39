import { expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

test("ulimit -n 128 with 400 files: every line once, nothing taken for deleted", async () => {
  const dir = mkdtempSync(join(tmpdir(), "logagent-scarce-"));
  try {
    const names = Array.from({ length: 400 }, (_, i) => join(dir, `${i}.log`));
    for (const name of names) writeFileSync(name, Array.from({ length: 5 }, (_, i) => `${name} ${i}\n`).join(""));
    const child = Bun.spawn(
      ["sh", "-c", 'ulimit -n 128; exec "$0" "$@"', process.execPath, join(import.meta.dir, "scarce-child.ts"), dir],
      { stderr: "pipe" },
    );
    const errors = child.stderr.getReader();
    let said = "";
    while (!said.includes("half")) {
      const { value, done } = await errors.read();
      if (done) throw new Error(`the child ended: ${said}`);
      said += new TextDecoder().decode(value);
    }
    for (const name of names) appendFileSync(name, `${name} 5\n`);
    const { seen, loud } = JSON.parse(await new Response(child.stdout).text());
    expect(seen.toSorted()).toEqual(
      names.flatMap((name) => Array.from({ length: 6 }, (_, i) => `${name} ${i}`)).sort(),
    );
    expect(loud).toEqual([]);
    expect(await child.exited).toBe(0);
  } finally {
    rmSync(dir, { recursive: true });
  }
}, 60_000);
