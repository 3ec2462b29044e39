import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command, Group } from "../../src/commands/define.ts";
import commands from "../../src/commands/index.ts";
import { flagName } from "../../src/config/flag.ts";
import { loadAgentConfig } from "../../src/config/load-agent.ts";
import { parseFlags } from "../../src/config/parse-flags.ts";
import { exitCodes } from "../../src/errors.ts";
import { makeAuthority } from "../kafka/certificates.ts";
import { root } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");
const dir = tempDir("readme");
afterAll(() => removeDir(dir));

async function all(target: Command | Group): Promise<Command[]> {
  if (target.kind === "command") return [target];
  const loaded = await Promise.all(
    Object.values(target.subCommands).map(async ({ load }) => all((await load()).default)),
  );
  return loaded.flat();
}
const everything = await all(commands);
const flagNames = new Set(everything.flatMap(({ spec }) => Object.keys(spec.flags).map(flagName)));
/** Flags of other programs that README names. */
const others = new Set(["all", "uninstall"]);

describe("README", () => {
  test("names only flags that exist", () => {
    const named = [...readme.matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)].map(([, name]) => name!);
    expect(named.length).toBeGreaterThan(40);
    expect(named.filter((name) => !flagNames.has(name) && !others.has(name))).toEqual([]);
  });

  const lines = [
    ...readme.matchAll(
      /^(?:\$ )?(?:[^|\n]*\| *)?logagent ((?:tail|produce|consume|topics|groups|check|config|status|completion)\b[^\n|#]*)/gm,
    ),
  ];

  test.each(lines.map(([, line]) => line!.trim()))("logagent %s is a valid command line", (line) => {
    checkLine(line);
  });

  test("has a config file that is valid and sets every section", () => {
    const text = /```yaml\n([\s\S]*?)```/.exec(readme)![1]!.replaceAll("/etc/logagent", dir);
    writeFileSync(join(dir, "ca.pem"), makeAuthority().cert);
    writeFileSync(join(dir, "password"), "x");
    const file = join(dir, "logagent.yaml");
    writeFileSync(file, text);
    const config = loadAgentConfig({ given: { config: file }, words: [] }, {});
    expect(config.inputs.map(({ name, topic }) => [name, topic])).toEqual([
      ["cron", "logs"],
      ["web", "web_log"],
      ["app", "logs"],
    ]);
    expect(config).toMatchObject({ connection: { sasl: { username: "agent" } }, producer: { compression: "zstd" } });
  });

  test("lists every exit code and no other", () => {
    const listed = [...readme.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
    expect(listed).toEqual([0, ...new Set(Object.values(exitCodes))].sort((a, b) => a - b));
  });
});

describe("help", () => {
  test.each(everything.map(({ spec }) => [spec.name, spec] as const))(
    "%s: every flag has a description, short names are unique",
    (_, spec) => {
      const aliases = Object.values(spec.flags).flatMap(({ alias }) => (alias ? [alias] : []));
      expect(new Set(aliases).size).toBe(aliases.length);
      expect(aliases).not.toContain("h");
      for (const flag of Object.values(spec.flags)) {
        expect(flag.description.length).toBeGreaterThan(5);
        expect(flag.description).not.toEndWith(".");
        if (flag.env) expect(flag.env).toStartWith("LOGAGENT_");
      }
    },
  );

  test.each(everything.map(({ spec }) => [spec.name, spec] as const))("%s: its examples are valid", (_, spec) => {
    for (const example of spec.examples ?? []) {
      const parts = example.split(/ \| (?=logagent)/).filter((part) => part.includes("logagent "));
      const checked = parts.map((part) => checkLine(part.replace(/^.*?\blogagent /, "").replace(/[>)<].*$/, "")));
      expect(checked).toContain(spec.name);
    }
  });

  test("the environment variable of a flag is its name", () => {
    for (const { spec } of everything) {
      for (const [key, { env }] of Object.entries(spec.flags)) {
        if (env) expect(env).toBe(`LOGAGENT_${flagName(key).replaceAll("-", "_").toUpperCase()}`);
      }
    }
  });
});

/** Reads the words behind `logagent` as the program would; the command's name. */
function checkLine(line: string): string {
  const words = shellWords(line);
  const command = everything.find(({ spec }) => `${words.join(" ")} `.startsWith(`${spec.name} `));
  if (!command) throw new Error(`no command in "${line}"`);
  parseFlags(words.slice(command.spec.name.split(" ").length), command.spec.flags, {});
  return command.spec.name;
}

/** Words of a shell line with single and double quotes. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) => word.replace(/['"]/g, ""));
}
