/** Apache Kafka's jars: fetched once by Maven (pom.xml beside this file) into a cache outside the tree. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const pom = join(import.meta.dirname, "pom.xml");

export function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "logagent-test");
}

let found: Promise<string> | undefined;

/** The directory with all jars. Two processes that fetch at once do so side by side; the first rename wins. */
export function kafkaJars(): Promise<string> {
  found ??= fetchJars();
  return found;
}

async function fetchJars(): Promise<string> {
  const text = readFileSync(pom);
  const version = /<artifactId>kafka_2.13<\/artifactId>\s*<version>([^<]+)/.exec(text.toString())?.[1];
  const dir = join(cacheDir(), `kafka-${version}-${createHash("sha256").update(text).digest("hex").slice(0, 12)}`);
  if (existsSync(dir)) return dir;
  mkdirSync(cacheDir(), { recursive: true });
  const temporary = mkdtempSync(join(cacheDir(), "fetch-"));
  try {
    const args = ["-q", "-B", "--strict-checksums", "-f", pom, "dependency:copy-dependencies"];
    await run("mvn", [...args, `-DoutputDirectory=${temporary}`], { maxBuffer: 1 << 26 }).catch((error) => {
      throw new Error(`fetching Kafka by Maven: ${String(error.stdout).trim() || error.message}`, { cause: error });
    });
    try {
      renameSync(temporary, dir);
    } catch (error) {
      if (!existsSync(dir)) throw error;
    }
    return dir;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
