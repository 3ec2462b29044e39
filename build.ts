/**
 * Builds the program into one file with Bun: `bun build.ts` makes dist/logagent for this machine, `bun build.ts --all`
 * every target, gzipped, with SHA256SUMS. Bun executables of other platforms come as npm packages, kept in a cache.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const root = import.meta.dirname;
const dist = join(root, "dist");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

/** Target → the npm package (under @oven) that holds its Bun executable. */
const targets: Record<string, string> = {
  "linux-x64": "bun-linux-x64",
  "linux-x64-baseline": "bun-linux-x64-baseline",
  "linux-x64-musl": "bun-linux-x64-musl",
  "linux-arm64": "bun-linux-aarch64",
  "linux-arm64-musl": "bun-linux-aarch64-musl",
  "darwin-x64": "bun-darwin-x64",
  "darwin-arm64": "bun-darwin-aarch64",
  "windows-x64": "bun-windows-x64",
};

/** The commit baked into the binary; LOGAGENT_COMMIT where there is no git. */
function commit(): string {
  if (process.env.LOGAGENT_COMMIT) return process.env.LOGAGENT_COMMIT;
  try {
    const git = (...args: string[]) =>
      execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    const dirty = git("status", "--porcelain", "--untracked-files=no", "--", "src", "package-lock.json") !== "";
    return git("rev-parse", "--short=12", "HEAD") + (dirty ? "-modified" : "");
  } catch {
    return "unknown";
  }
}

/** Compiles to `outfile`; `executable` is the Bun that is embedded (absent: the one that runs this script). */
async function compile(outfile: string, target?: string, executable?: string): Promise<void> {
  const temporary = `${outfile}.${process.pid}.tmp`;
  const result = await Bun.build({
    entrypoints: [join(root, "src", "main.ts")],
    minify: true,
    // One chunk would load every module of Node and of ours before the first word of any command.
    splitting: true,
    bytecode: true,
    format: "esm",
    target: "bun",
    define: {
      "process.env.LOGAGENT_BUILD_VERSION": JSON.stringify(version),
      "process.env.LOGAGENT_BUILD_COMMIT": JSON.stringify(commit()),
    },
    compile: {
      outfile: temporary,
      // Neither ./.env nor ./bunfig.toml of the directory it is started in may change what it does.
      autoloadDotenv: false,
      autoloadBunfig: false,
      // src/observe/memory-limit.ts calls the collector.
      execArgv: ["--smol", "--expose-gc"],
      ...(target && executable
        ? { target: `bun-${target}` as Bun.Build.CompileTarget, executablePath: executable }
        : {}),
    },
    throw: false,
  });
  if (!result.success) throw new AggregateError(result.logs, `building ${outfile}: ${result.logs.join("\n")}`);
  const made = existsSync(temporary) ? temporary : `${temporary}.exe`;
  chmodSync(made, 0o755);
  renameSync(made, outfile);
}

/** The Bun executable for a target, from the npm package of the running version; npm checks its integrity. */
function bunFor(name: string): string {
  const file = name.includes("windows") ? "bun.exe" : "bun";
  const installed = join(root, "node_modules", "@oven", name, "bin", file);
  if (existsSync(installed)) return installed;
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "logagent-build");
  const cached = join(cache, `${name}-${Bun.version}`);
  if (!existsSync(cached)) {
    mkdirSync(cache, { recursive: true });
    const temporary = mkdtempSync(join(cache, "fetch-"));
    try {
      const npm = ["pack", "--silent", "--pack-destination", temporary, `@oven/${name}@${Bun.version}`];
      execFileSync("npm", npm, { stdio: ["ignore", "ignore", "inherit"] });
      const archive = readdirSync(temporary).find((entry) => entry.endsWith(".tgz"));
      if (!archive) throw new Error(`fetching @oven/${name}: npm pack left no archive`);
      execFileSync("tar", ["-xzf", join(temporary, archive), "-C", temporary]);
      renameSync(join(temporary, "package", "bin", file), cached);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }
  return cached;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

async function buildAll(): Promise<void> {
  const sums: string[] = [];
  for (const [target, name] of Object.entries(targets)) {
    const asset = `logagent-${target}${target.startsWith("windows") ? ".exe" : ""}`;
    const file = join(dist, asset);
    await compile(file, target, bunFor(name));
    const binary = readFileSync(file);
    const zipped = gzipSync(binary, { level: 9 });
    writeFileSync(`${file}.gz`, zipped);
    rmSync(file);
    sums.push(`${createHash("sha256").update(zipped).digest("hex")}  ${asset}.gz`);
    console.error(`${asset}.gz  ${megabytes(zipped.length)}, unpacked ${megabytes(binary.length)}`);
  }
  writeFileSync(join(dist, "SHA256SUMS"), `${sums.join("\n")}\n`);
  // Published beside the binaries, the script knows where they are: LOGAGENT_BASE_URL of this build.
  const script = readFileSync(join(root, "install.sh"), "utf8");
  const address = process.env.LOGAGENT_BASE_URL ?? "";
  if (/['\s]/.test(address)) throw new Error(`LOGAGENT_BASE_URL: ${address} is not an address`);
  writeFileSync(join(dist, "install.sh"), script.replace("default_base_url=''", `default_base_url='${address}'`));
}

const words = process.argv.slice(2);
if (words.some((word) => word !== "--all")) {
  console.error("usage: bun build.ts [--all]");
  process.exitCode = 64;
} else {
  mkdirSync(dist, { recursive: true });
  if (words.includes("--all")) await buildAll();
  else await compile(join(dist, process.platform === "win32" ? "logagent.exe" : "logagent"));
}
