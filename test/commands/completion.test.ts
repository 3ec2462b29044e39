import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { cli } from "./cli.ts";

const dir = tempDir("completion");
afterAll(() => removeDir(dir));

describe("bash", () => {
  /** What bash offers for the last word of the line. */
  async function complete(line: string): Promise<string[]> {
    const file = join(dir, "logagent.bash");
    writeFileSync(file, (await cli(["completion", "bash"])).stdout);
    const words = line.split(" ").map((word) => `'${word}'`);
    const script = `source ${file}; COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _logagent; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await run(["bash", "-c", script], { cwd: dir });
    expect(stderr).toBe("");
    return stdout.split("\n").filter(Boolean);
  }

  const cases: [string, string[]][] = [
    ["logagent to", ["topics"]],
    ["logagent topics de", ["describe", "delete"]],
    ["logagent tail --parti", ["--partition", "--partitioner"]],
    ["logagent tail --acks ", ["0", "1", "all"]],
    ["logagent topics list -o y", ["yaml"]],
    ["logagent groups reset --ex", ["--execute"]],
    ["logagent tail logagent.b", ["logagent.bash"]],
  ];
  for (const [line, expected] of cases) {
    testWith(["bash"])(line, async () => expect((await complete(line)).sort()).toEqual([...expected].sort()));
  }
});

describe.each(["zsh", "fish"])("%s", (shell) => {
  testWith([shell])("reads the script", async () => {
    const file = join(dir, `logagent.${shell}`);
    writeFileSync(file, (await cli(["completion", shell])).stdout);
    expect(await run([shell, "-n", file])).toMatchObject({ code: 0, stderr: "" });
  });

  test("names every command", async () => {
    const { stdout } = await cli(["completion", shell]);
    for (const name of ["tail", "produce", "consume", "topics", "groups", "check", "status"])
      expect(stdout).toContain(name);
    expect(stdout).toContain("retention.ms=86400000");
  });
});
