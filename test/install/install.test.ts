import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { binary, root, run, start } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { findTool, hasTool, isRoot, testWith } from "../support/tools.ts";
import { waitFor } from "../support/wait.ts";

const script = join(root, "install.sh");
const shells = [["sh"], ["dash"], ["busybox", "sh"], ["bash"], ["bash", "--posix"]].filter(([name]) => hasTool(name!));
const dir = tempDir("install");
let server: Server;
let base = "";

/** A program that says its version and otherwise ticks once a second. */
function program(version: string): Buffer {
  return Buffer.from(`#!/bin/sh
if [ "\${1:-}" = --version ]; then echo "logagent ${version} (0123456789ab)"; exit; fi
while :; do echo tick; sleep 0.2; done
`);
}

function publish(folder: string, files: Record<string, Buffer>): void {
  mkdirSync(folder, { recursive: true });
  const sums = Object.entries(files).map(([name, content]) => {
    writeFileSync(join(folder, name), content);
    return `${createHash("sha256").update(content).digest("hex")}  ${name}\n`;
  });
  writeFileSync(join(folder, "SHA256SUMS"), sums.join(""));
}

let homes = 0;

function install(env: Record<string, string> = {}, { shell = ["sh"], args = [] as string[], home = "" } = {}) {
  const own = home || join(dir, `home-${++homes}`);
  mkdirSync(own, { recursive: true });
  const result = run([...shell, "-s", "--", ...args], {
    stdin: readFileSync(script),
    env: {
      HOME: own,
      LOGAGENT_BASE_URL: base,
      LOGAGENT_TARGET: "linux-x64",
      LOGAGENT_INSTALL_DIR: join(own, "bin"),
      LOGAGENT_NO_SERVICE: "1",
      ...env,
    },
  });
  return result.then((ended) => ({ ...ended, home: own, installed: join(own, "bin", "logagent") }));
}

beforeAll(async () => {
  const zipped = gzipSync(program("1.0.0"));
  publish(join(dir, "www"), { "logagent-linux-x64.gz": zipped, "logagent-linux-arm64.gz": gzipSync(program("1.0.0")) });
  publish(join(dir, "www", "v2.0.0"), { "logagent-linux-x64.gz": gzipSync(program("2.0.0")) });
  publish(join(dir, "www", "v3.0.0"), { "logagent-linux-x64.gz": gzipSync(program("2.9.9")) });
  publish(join(dir, "www", "broken"), { "logagent-linux-x64.gz": gzipSync(Buffer.from("not a program\n\0")) });
  publish(join(dir, "www", "bad"), { "logagent-linux-x64.gz": zipped });
  writeFileSync(join(dir, "www", "bad", "logagent-linux-x64.gz"), gzipSync(program("6.6.6")));
  publish(join(dir, "www", "unlisted"), {});
  writeFileSync(join(dir, "www", "unlisted", "SHA256SUMS"), `${"0".repeat(64)}  logagent-linux-x64.gz.old\n`);
  writeFileSync(join(dir, "www", "unlisted", "logagent-linux-x64.gz"), zipped);
  server = createServer((request, response) => {
    const file = join(dir, "www", request.url ?? "");
    if (existsSync(file) && statSync(file).isFile()) response.end(readFileSync(file));
    else response.writeHead(404).end("not found");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
  removeDir(dir);
});

testWith(["shellcheck"])("shellcheck finds nothing", async () => {
  const { code, stdout } = await run(["shellcheck", script, join(root, ".ci", "run")]);
  expect(stdout).toBe("");
  expect(code).toBe(0);
});

for (const shell of shells) {
  test(`installs over HTTP under ${shell.join(" ")} and leaves nothing else`, async () => {
    const { code, stdout, stderr, installed, home } = await install({}, { shell });
    expect(stderr).toContain("installed logagent 1.0.0");
    expect([code, stdout]).toEqual([0, ""]);
    expect(statSync(installed).mode & 0o777).toBe(0o755);
    expect(readdirSync(home)).toEqual(["bin"]);
    expect(readdirSync(join(home, "bin"))).toEqual(["logagent"]);
  });
}

test("installs from a folder, a chosen version, into ~/.local/bin when not root", async () => {
  const file = await install({ LOGAGENT_BASE_URL: `file://${join(dir, "www")}`, LOGAGENT_VERSION: "v2.0.0" });
  expect(file.stderr).toContain("installed logagent 2.0.0");
  expect(file.code).toBe(0);
  if (!isRoot) {
    const { home, code } = await install({ LOGAGENT_INSTALL_DIR: "" });
    expect(code).toBe(0);
    expect(existsSync(join(home, ".local", "bin", "logagent"))).toBe(true);
  }
});

describe("refuses and leaves what was there", () => {
  const cases: [string, Record<string, string>, RegExp][] = [
    ["a wrong checksum", { LOGAGENT_BASE_URL: "/bad" }, /the checksum is .* not .* nothing was installed/],
    ["a file that SHA256SUMS does not name", { LOGAGENT_BASE_URL: "/unlisted" }, /holds no single checksum/],
    ["404", { LOGAGENT_BASE_URL: "/nowhere" }, /fetching .*SHA256SUMS failed/],
    ["a target that is not there", { LOGAGENT_TARGET: "plan9-x64" }, /fetching .*plan9-x64.gz failed/],
    ["a missing folder", { LOGAGENT_BASE_URL: "file:///nowhere" }, /there is no such file/],
    ["an address of another kind", { LOGAGENT_BASE_URL: "ftp://127.0.0.1" }, /must begin with http/],
    ["no address", { LOGAGENT_BASE_URL: "none" }, /LOGAGENT_BASE_URL must say/],
    ["a build that does not run", { LOGAGENT_BASE_URL: "/broken" }, /does not run on this machine/],
    ["a build of another version", { LOGAGENT_VERSION: "3.0.0" }, /says 'logagent 2.9.9 .* not version 3.0.0/],
    ["no checksum program", { PATH: "few" }, /sha256sum, shasum or openssl is needed/],
  ];
  for (const [name, env, pattern] of cases) {
    test(name, async () => {
      const first = await install();
      expect(first.code).toBe(0);
      const before = readFileSync(first.installed);
      const changed = { ...env };
      if (changed.LOGAGENT_BASE_URL?.startsWith("/")) changed.LOGAGENT_BASE_URL = base + changed.LOGAGENT_BASE_URL;
      if (changed.LOGAGENT_BASE_URL === "none") changed.LOGAGENT_BASE_URL = "";
      if (changed.PATH) changed.PATH = fewTools();
      const { code, stderr, home } = await install(changed, { home: first.home, shell: [findTool("sh")!] });
      expect(stderr).toMatch(pattern);
      expect(code).toBe(1);
      expect(readFileSync(first.installed)).toEqual(before);
      expect(readdirSync(join(home, "bin"))).toEqual(["logagent"]);
    });
  }

  /** A PATH with everything but a program that makes checksums. */
  function fewTools(): string {
    const few = join(dir, "few");
    if (!existsSync(few)) {
      mkdirSync(few);
      const names = "uname id curl wget mkdir mktemp rm cp mv cut awk gunzip gzip chmod grep cat sh".split(" ");
      for (const name of names) {
        const real = findTool(name);
        if (real) {
          writeFileSync(join(few, name), `#!/bin/sh\nPATH=/usr/bin:/bin exec ${real} "$@"\n`);
          chmodSync(join(few, name), 0o755);
        }
      }
    }
    return few;
  }

  test("a directory that cannot be written", async () => {
    const inFile = join(dir, "a-file");
    writeFileSync(inFile, "");
    const { code, stderr } = await install({ LOGAGENT_INSTALL_DIR: join(inFile, "bin") });
    expect(stderr).toMatch(/the directory .* cannot be made; set LOGAGENT_INSTALL_DIR/);
    expect(code).toBe(1);
    const readOnly = isRoot ? "/proc" : join(dir, "read-only");
    if (!isRoot) mkdirSync(readOnly, { mode: 0o500 });
    const second = await install({ LOGAGENT_INSTALL_DIR: readOnly });
    expect(second.stderr).toMatch(/cannot be written; set LOGAGENT_INSTALL_DIR/);
    expect(second.code).toBe(1);
  });

  test("an unknown option", async () => {
    const { code, stderr } = await install({}, { args: ["--purge"] });
    expect([code, stderr]).toEqual([
      64,
      "logagent: unknown option --purge; known: --uninstall, --print-unit, --print-openrc\n",
    ]);
  });
});

test("upgrades under a running program, which goes on", async () => {
  const { home, installed } = await install();
  const old = start([installed]);
  try {
    const { code } = await install({ LOGAGENT_VERSION: "2.0.0" }, { home });
    expect(code).toBe(0);
    expect((await run([installed, "--version"])).stdout).toContain("2.0.0");
    const ticks = old.stdout.length;
    await waitFor("the old program to go on", () => old.stdout.length > ticks);
    expect(old.running).toBe(true);
  } finally {
    await old.stop("SIGKILL");
  }
});

test("upgrades under the real binary while it runs", async () => {
  const folder = join(dir, "real");
  const real = gzipSync(readFileSync(binary()), { level: 1 });
  publish(folder, { "logagent-linux-x64.gz": real });
  const from = { LOGAGENT_BASE_URL: `file://${folder}` };
  const { home, installed, code, stderr } = await install(from);
  expect([code, stderr]).toEqual([0, expect.stringContaining("installed logagent ")]);
  writeFileSync(join(home, "a.log"), "one\n");
  const state = join(home, "state.jsonl");
  const words = ["tail", join(home, "a.log"), "--topic", "t", "--brokers", "127.0.0.1:1", "--state", state];
  const old = start([installed, ...words]);
  try {
    const again = await install(from, { home });
    expect(again.code).toBe(0);
    expect(old.running).toBe(true);
  } finally {
    await old.stop("SIGKILL");
  }
}, 120_000);

test("--uninstall removes the program and keeps configuration and state", async () => {
  const { home, installed } = await install();
  const state = join(home, ".local", "state", "logagent");
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, "state.jsonl"), "{}\n");
  const { code, stderr } = await install({}, { home, args: ["--uninstall"] });
  expect([code, stderr]).toEqual([0, expect.stringContaining(`removed ${installed}`)]);
  expect(existsSync(installed)).toBe(false);
  expect(existsSync(join(state, "state.jsonl"))).toBe(true);
  const again = await install({}, { home, args: ["--uninstall"] });
  expect([again.code, again.stderr]).toEqual([0, expect.stringContaining("nothing to remove")]);
});

test("cut anywhere it does nothing", async () => {
  const text = readFileSync(script);
  // Only complete with the closing brace; every length before it must neither install nor fetch.
  const cuts = join(dir, "cuts");
  const home = join(dir, "cut-home");
  mkdirSync(cuts);
  mkdirSync(home);
  const end = text.length - 2; // without the last line, "}"
  for (const shell of shells.slice(0, 4)) {
    // A loop inside one shell process is far quicker than a process of ours per cut; odd steps reach every kind of place.
    const step = shell[0] === "sh" ? 3 : 41;
    const loop = `n=0; while [ $n -lt ${end} ]; do head -c $n '${script}' | ${shell.join(" ")} >/dev/null 2>&1; n=$((n+${step})); done`;
    await run(["sh", "-c", loop], {
      env: {
        HOME: home,
        LOGAGENT_BASE_URL: base,
        LOGAGENT_INSTALL_DIR: join(home, "bin"),
        LOGAGENT_TARGET: "linux-x64",
      },
      timeout: 120_000,
    });
    expect(readdirSync(home)).toEqual([]);
  }
}, 240_000);

testWith(["systemd-analyze"])("the unit is one that systemd accepts", async () => {
  const unit = join(dir, "logagent.service");
  const { stdout } = await install({ LOGAGENT_INSTALL_DIR: "/bin" }, { args: ["--print-unit"] });
  writeFileSync(unit, stdout.replace("/bin/logagent", "/bin/true"));
  const { stderr, code } = await run(["systemd-analyze", "verify", unit]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
});

test("the unit keeps to the hardening that leaves the JIT alone", async () => {
  const { stdout, code } = await install({ LOGAGENT_INSTALL_DIR: "/opt/x" }, { args: ["--print-unit"] });
  expect(code).toBe(0);
  for (const line of [
    "ExecStart=/opt/x/logagent tail --config /etc/logagent/logagent.yaml",
    "ExecReload=/bin/kill -HUP $MAINPID",
    "RestartPreventExitStatus=64 78",
    "UnsetEnvironment=BUN_OPTIONS BUN_BE_BUN",
    "DynamicUser=yes",
    "CapabilityBoundingSet=",
  ]) {
    expect(stdout.split("\n")).toContain(line);
  }
  expect(stdout).not.toMatch(/^MemoryDenyWriteExecute/m);
});
