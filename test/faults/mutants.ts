/**
 * Proves that the campaigns can fail: `bun test/faults/mutants.ts [WORD…]` plants one bug at a time in a copy of the
 * sources, builds it, runs the campaign that must catch it and prints a table. Exit code 1 when one gets away.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";

export interface Mutant {
  name: string;
  file: string;
  /** Exact text of the source and what stands there instead; each must occur once. */
  edits: [from: string, to: string][];
  /** Test file under test/, and a pattern of test names. */
  campaign: [file: string, pattern: string];
}

const journal = "src/state/journal.ts";
const replacing = "src/state/replace-journal.ts";
const committer = "src/pipeline/delivery/transaction-committer.ts";

const retriesEnd: Pick<Mutant, "file" | "edits"> = {
  file: "src/kafka/producer/partition-queue.ts",
  edits: [
    [
      "    batch.inFlight = true;\n",
      "    else this.unacked.splice(this.unacked.indexOf(batch), 1);\n    batch.inFlight = true;\n",
    ],
  ],
};

export const mutants: Mutant[] = [
  {
    name: "a position moves when lines are handed out, not when they are acknowledged",
    file: "src/pipeline/checkpoint/positions.ts",
    edits: [["    if (lines.count === 0) this.settle(", "    this.settle("]],
    campaign: ["faults/kill-both.solo.test.ts", "killed together"],
  },
  {
    name: "the checkpoint is written after its transaction's commit",
    file: committer,
    edits: [
      [
        "const durable = delta === null || this.journalFailed ?",
        "const durable = delta !== null || this.journalFailed ?",
      ],
      [
        "      await coordinator.end(producer, true);",
        "      await coordinator.end(producer, true);\n      if (delta !== null) await checkpoint();",
      ],
    ],
    campaign: ["faults/transaction-requests.solo.test.ts", "EndTxn"],
  },
  {
    name: "a commit whose answer was lost counts as aborted",
    file: committer,
    edits: [["    if (mark?.n === n) return true;", "    if (mark?.n === n) return false;"]],
    campaign: ["faults/proxy.solo.test.ts", "every kind"],
  },
  {
    name: "after a crash the last checkpoint written counts, whatever Kafka says",
    file: "src/pipeline/delivery/resolve-checkpoint.ts",
    edits: [["  if (mark.n <= confirmed) return confirmed;", "  if (mark.n <= newest) return newest;"]],
    campaign: ["faults/transaction-requests.solo.test.ts", "Produce|EndTxn"],
  },
  {
    name: "another instance's nonce is ignored",
    file: committer,
    edits: [
      ["if (mark !== null && mark.nonce !== this.options.nonce && ", 'if (mark !== null && mark.nonce === "" && '],
    ],
    campaign: ["faults/same-id.solo.test.ts", "two agents"],
  },
  {
    name: "positions of a topic that is missing go into the checkpoints of the others",
    file: "src/pipeline/delivery/suspended-topics.ts",
    edits: [["    if (delta === null || this.topics.size === 0) return delta;", "    return delta;"]],
    campaign: ["faults/missing-topic.solo.test.ts", "deleted topic"],
  },
  {
    name: "an input is bound to its topic behind its first commit",
    file: committer,
    edits: [["      if (cut !== null) await this.keeping(this.options.bind(cut.batches));\n", ""]],
    campaign: ["faults/transaction-requests.solo.test.ts", "bound to its topic"],
  },
  {
    name: "a retry takes a new sequence",
    file: "src/kafka/producer/partition-queue.ts",
    edits: [["    batch.inFlight = true;\n", "    else this.stampNext(batch);\n    batch.inFlight = true;\n"]],
    campaign: ["faults/proxy.solo.test.ts", "every kind"],
  },
  {
    name: "a retry chooses the partition anew",
    file: "src/kafka/producer/partition-recovery.ts",
    edits: [
      ["    if (queue.gone) {\n", "    if (queue.gone || queue.unacked.some((batch) => batch.unresolved)) {\n"],
      [".substitute(queue.partition);", ".substitute(queue.partition + 1);"],
    ],
    campaign: ["faults/proxy.solo.test.ts", "every kind"],
  },
  {
    name: "retries of a batch end",
    ...retriesEnd,
    campaign: ["faults/broker.solo.test.ts", "SIGSTOP"],
  },
  {
    name: "retries of a batch end while leaders change",
    ...retriesEnd,
    campaign: ["faults/leaders.solo.test.ts", "killed in turn"],
  },
  {
    name: "the new journal is not synced before its rename",
    file: replacing,
    edits: [["    await file.write(bytes, 0);\n    await file.sync();\n", "    await file.write(bytes, 0);\n"]],
    campaign: ["faults/state-kill.solo.test.ts", "compaction writes"],
  },
  {
    name: "the directory is not synced after the rename",
    file: replacing,
    edits: [["    await fs.syncDirectory(dirname(path));\n", ""]],
    campaign: ["faults/state-kill.solo.test.ts", "compaction writes"],
  },
  {
    name: "the journal is renamed before it is written",
    file: replacing,
    edits: [
      ["    await file.write(bytes, 0);\n    await file.sync();\n", ""],
      [
        "    await fs.syncDirectory(dirname(path));\n",
        "    await file.write(bytes, 0);\n    await file.sync();\n    await fs.syncDirectory(dirname(path));\n",
      ],
    ],
    campaign: ["faults/state-kill.solo.test.ts", "rename|compaction writes"],
  },
  {
    name: "the error of an fsync is ignored",
    file: journal,
    edits: [["    try {\n      await file.sync();\n", "    try {\n      await file.sync().catch(() => {});\n"]],
    campaign: ["faults/state-disk.solo.test.ts", "fsync that fails"],
  },
  {
    name: "the old file is dropped at its rename",
    file: "src/tail/files/decisions.ts",
    edits: [["endsWithName: (file) => file.complete", "endsWithName: () => true"]],
    campaign: ["faults/kill-agent.solo.test.ts", "at-least-once"],
  },
  {
    name: "a state directory that others can write is used",
    file: "src/state/directory.ts",
    edits: [
      [
        "  const reason = weakness(stat, uid);\n  if (reason === null) return null;",
        "  return null;\n  const reason = '';",
      ],
    ],
    campaign: ["state/hostile.test.ts", "refused with 74"],
  },
  {
    name: "the new journal is written through a link",
    file: "src/state/files.ts",
    edits: [
      ["    if (create) await nodeJournalFs.unlink(path);\n", ""],
      ["constants.O_WRONLY | noFollow |", "constants.O_WRONLY |"],
      ["constants.O_CREAT | constants.O_EXCL", "constants.O_CREAT | constants.O_TRUNC"],
    ],
    campaign: ["state/hostile.test.ts", "a link in place of the new journal"],
  },
  {
    name: "a lock may name a socket anywhere",
    file: "src/state/lock.ts",
    edits: [["isSocketName(path, socket) ? socket : null", 'typeof socket === "string" ? socket : null']],
    campaign: ["state/hostile.test.ts", "forged lock"],
  },
  {
    name: "a line of the journal is believed for its checksum",
    file: "src/state/line.ts",
    edits: [["isCheckpoint(value) ?", "value !== null ?"]],
    campaign: ["state/hostile.test.ts", "a position that is text"],
  },
  {
    name: "what others wrote is shown as it is",
    file: "src/printable.ts",
    edits: [
      [
        "  return text.replace(unsafe, (character) => short",
        "  return text;\n  text.replace(unsafe, (character) => short",
      ],
    ],
    campaign: ["printable.test.ts", "the program"],
  },
];

/** The file with the bug in it. Throws when it does not hold exactly what is to be replaced. */
export function mutated({ file, edits }: Mutant): string {
  let text = readFileSync(join(root, file), "utf8");
  for (const [from, to] of edits) {
    if (text.split(from).length !== 2)
      throw new Error(`planting in ${file}: the text occurs not exactly once: ${from}`);
    text = text.replace(from, () => to);
  }
  return text;
}

function plant(mutant: Mutant): string {
  const dir = tempDir("mutant");
  for (const name of ["src", "build.ts", "package.json", "package-lock.json", "tsconfig.json"]) {
    cpSync(join(root, name), join(dir, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
  writeFileSync(join(dir, mutant.file), mutated(mutant));
  return dir;
}

function run(mutant: Mutant): "caught" | "GOT AWAY" | "not planted" {
  let dir: string;
  try {
    dir = plant(mutant);
  } catch (error) {
    console.error(`  ${(error as Error).message}`);
    return "not planted";
  }
  try {
    const build = spawnSync(process.execPath, ["build.ts"], { cwd: dir, encoding: "utf8" });
    if (build.status !== 0) throw new Error(`building the mutant "${mutant.name}": ${build.stderr}`);
    const [file, pattern] = mutant.campaign;
    const words = ["test", `./test/${file}`, "-t", pattern, "--timeout", "300000"];
    const env = { ...process.env, LOGAGENT_BIN: join(dir, "dist", "logagent") };
    const { status, stdout, stderr } = spawnSync(process.execPath, words, { cwd: root, encoding: "utf8", env });
    const why = /^error: (.*)/m.exec(stderr + stdout)?.[1];
    if (status !== 0 && why) console.error(`  ${why.slice(0, 160)}`);
    return status === 0 ? "GOT AWAY" : "caught";
  } finally {
    removeDir(dir);
  }
}

if (import.meta.main) {
  const words = process.argv.slice(2);
  const chosen = mutants.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  const rows: string[] = [];
  for (const mutant of chosen) {
    console.error(mutant.name);
    const outcome = run(mutant);
    if (outcome !== "caught") process.exitCode = 1;
    rows.push(`| ${mutant.name} | \`${mutant.campaign[0]}\` | ${outcome} |`);
    console.error(`  ${outcome}`);
  }
  console.log(`| mutant | campaign | outcome |\n|---|---|---|\n${rows.join("\n")}`);
}
