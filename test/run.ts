/**
 * `npm test`: type check, lint, Deno's check, the binary, then every test file in a process of its own against one
 * shared Kafka node. `npm test -- WORD…` runs only the test files whose path holds a word, and builds the program or starts
 * Kafka only if one of them needs it; `--campaigns` the fault campaigns and the simulation of files in their full form. A
 * file named `*.solo.test.ts` runs alone, the others two at a time.
 */
import { readdirSync } from "node:fs";
import { join, sep } from "node:path";
import { execute, killAll } from "./support/execute.ts";
import { needsOf } from "./support/needs.ts";
import { readReport } from "./support/report.ts";
import { removeDir, tempDir } from "./support/temp.ts";
import { findTool } from "./support/tools.ts";

const root = join(import.meta.dirname, "..");
const words = process.argv.slice(2);
const campaigns = words.includes("--campaigns");
const filters = words.filter((word) => !word.startsWith("-"));
const bun = process.execPath;
const exe = process.platform === "win32" ? "logagent.exe" : "logagent";
const bin = (name: string) => join(root, "node_modules", name);

const totals = { passed: 0, failed: 0, skipped: 0 };
const reasons: string[] = [];
const slow: { name: string; seconds: number }[] = [];
const stages: { name: string; seconds: number }[] = [];
const began = performance.now();
const since = (start: number) => (performance.now() - start) / 1000;

async function stage(name: string, command: readonly string[]): Promise<boolean> {
  const start = performance.now();
  const { code, output } = await execute(command, { cwd: root, timeout: 600_000, env: process.env });
  const seconds = since(start);
  stages.push({ name, seconds });
  const ok = code === 0;
  totals[ok ? "passed" : "failed"]++;
  console.log(`${ok ? "ok    " : "FAILED"}  ${name}  ${seconds.toFixed(1)} s`);
  if (!ok) console.log(output);
  return ok;
}

function testFiles(): string[] {
  const all = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join("test", name))
    .sort();
  const campaign = [join("test", "faults"), join("tail", "simulation")];
  const chosen = campaigns ? all.filter((name) => campaign.some((part) => name.includes(part))) : all;
  return filters.length === 0 ? chosen : chosen.filter((name) => filters.some((word) => name.includes(word)));
}

async function testFile(name: string, reports: string, env: NodeJS.ProcessEnv): Promise<void> {
  const start = performance.now();
  const report = join(reports, `${name.replaceAll(/[\\/]/g, "_")}.xml`);
  const limit = campaigns ? 4 * 3_600_000 : name.endsWith(".solo.test.ts") ? 600_000 : 300_000;
  const command = [bun, "test", `./${name}`, "--timeout", String(campaigns ? limit : 60_000)];
  const { code, output, timedOut } = await execute([...command, "--reporter=junit", `--reporter-outfile=${report}`], {
    cwd: root,
    timeout: limit,
    env,
  });
  const seconds = since(start);
  const counts = readReport(report);
  // A crash, a time-out or an error outside of any test leaves no failed test case behind.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  totals.passed += counts.passed;
  totals.failed += counts.failed;
  totals.skipped += counts.skipped.length;
  reasons.push(...counts.skipped.map((test) => `${name}: ${test}`));
  slow.push({ name, seconds });
  const skipped = counts.skipped.length > 0 ? `, ${counts.skipped.length} skipped` : "";
  const failed = counts.failed > 0 ? `, ${counts.failed} failed` : "";
  console.log(
    `${counts.failed === 0 ? "ok    " : "FAILED"}  ${name}  ${counts.passed} passed${failed}${skipped}  ${seconds.toFixed(1)} s`,
  );
  if (timedOut) console.log(`${name} did not end within ${limit / 1000} s`);
  if (counts.failed > 0 || campaigns) console.log(output);
}

/** The shared node, or the one that LOGAGENT_TEST_BROKERS names already. */
async function startKafka() {
  const given = process.env.LOGAGENT_TEST_BROKERS;
  if (given) return { brokers: given, stop: async () => {} };
  for (const tool of ["java", "mvn"]) {
    if (!findTool(tool)) console.log(`${tool} is missing: Java 17 or later and Maven are needed for Apache Kafka`);
  }
  const start = performance.now();
  // Not before it is needed: loading the client takes longer than many a unit test.
  const kafka = await (await import("./kafka/broker.ts")).startShared();
  stages.push({ name: "start Kafka", seconds: since(start) });
  return kafka;
}

async function runTests(files: string[], withKafka: boolean): Promise<void> {
  const reports = tempDir("reports");
  const kafka = withKafka ? await startKafka() : null;
  const env = {
    ...process.env,
    ...(kafka === null ? {} : { LOGAGENT_TEST_BROKERS: kafka.brokers }),
    LOGAGENT_BIN: process.env.LOGAGENT_BIN ?? join(root, "dist", exe),
    ...(campaigns ? { LOGAGENT_CAMPAIGN: "full" } : {}),
  };
  const start = performance.now();
  try {
    const alone = files.filter((name) => name.endsWith(".solo.test.ts"));
    const light = files.filter((name) => !name.endsWith(".solo.test.ts"));
    const worker = async () => {
      for (let name = light.shift(); name; name = light.shift()) await testFile(name, reports, env);
    };
    await Promise.all([worker(), worker()]);
    for (const name of alone) await testFile(name, reports, env);
  } finally {
    stages.push({ name: "test files", seconds: since(start) });
    await kafka?.stop();
    removeDir(reports);
  }
}

function summary(): void {
  if (reasons.length > 0) console.log(`\nskipped:\n${reasons.map((reason) => `  ${reason}`).join("\n")}`);
  slow.sort((a, b) => b.seconds - a.seconds);
  const list = (rows: typeof slow) => rows.map(({ name, seconds }) => `  ${seconds.toFixed(1).padStart(6)} s  ${name}`);
  console.log(`\nslowest files:\n${list(slow.slice(0, 8)).join("\n")}`);
  console.log(`stages:\n${list(stages).join("\n")}\n${list([{ name: "in all", seconds: since(began) }]).join("\n")}\n`);
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
  console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    killAll();
    process.exit(130);
  });
}

try {
  const files = testFiles();
  if (files.length === 0) throw new Error(`no test file matches ${filters.join(" ")}`);
  const needs = files.map((name) => needsOf(name.split(sep).join("/")));
  if (filters.length === 0 && !campaigns) {
    await stage("type check", ["node", bin("typescript/bin/tsc"), "--noEmit"]);
    await stage("lint and format", ["node", bin("@biomejs/biome/bin/biome"), "check", "--error-on-warnings", "."]);
    await stage("check by Deno", ["node", bin("deno/bin.cjs"), "check", "src/main.ts"]);
  }
  // LOGAGENT_BIN names a binary that is there already.
  const built = process.env.LOGAGENT_BIN !== undefined || !needs.some(({ binary }) => binary);
  if (built || (await stage("build", [bun, "build.ts"])))
    await runTests(
      files,
      needs.some((need) => need.kafka),
    );
} catch (error) {
  totals.failed++;
  console.log(error instanceof Error ? (error.stack ?? error.message) : error);
}
summary();
process.exitCode = totals.failed > 0 ? 1 : 0;
