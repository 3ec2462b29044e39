import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { makeCertificate } from "../kafka/certificates.ts";
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

function install(
  env: Record<string, string> = {},
  { shell = ["sh"], args = [] as string[], home = "", umask = undefined as string | undefined } = {},
) {
  const own = home || join(dir, `home-${++homes}`);
  mkdirSync(own, { recursive: true });
  const under = umask === undefined ? shell : ["sh", "-c", `umask ${umask}; exec "$@"`, "sh", ...shell];
  const result = run([...under, "-s", "--", ...args], {
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

describe("an address that begins with https", () => {
  /** Answers like the other server, or leads to it or to another place of its own. */
  let secure: ReturnType<typeof createSecureServer>;
  let address = "";

  beforeAll(async () => {
    const certificate = makeCertificate({ commonName: "127.0.0.1", hosts: ["127.0.0.1"] });
    writeFileSync(join(dir, "ca.pem"), certificate.cert);
    secure = createSecureServer(certificate, (request, response) => {
      const [, kind, ...rest] = (request.url ?? "").split("/");
      const name = rest.join("/");
      if (kind === "away") response.writeHead(302, { location: `${base}/${name}` }).end();
      else if (kind === "around") response.writeHead(302, { location: `${address}/away/${name}` }).end();
      else if (kind === "on") response.writeHead(302, { location: `${address}/here/${name}` }).end();
      else response.end(readFileSync(join(dir, "www", name)));
    });
    await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
    address = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`;
  });

  afterAll(() => secure.close());

  for (const client of ["curl", "wget"]) {
    testWith([client])(`is followed within https and never out of it by ${client}`, async () => {
      const only = join(dir, `only-${client}`);
      mkdirSync(only);
      const names = "uname id mkdir mktemp rm cp mv cut awk gunzip gzip chmod grep cat sh env sha256sum printf".split(
        " ",
      );
      for (const name of [...names, client]) {
        const real = findTool(name);
        if (real) writeFileSync(join(only, name), `#!/bin/sh\nPATH=/usr/bin:/bin exec ${real} "$@"\n`, { mode: 0o755 });
      }
      for (const [place, ok] of [
        ["here", true],
        ["on", true],
        ["away", false],
        ["around", false],
      ] as const) {
        const home = join(dir, `https-${client}-${place}`);
        mkdirSync(home);
        writeFileSync(join(home, ".wgetrc"), `ca_certificate = ${join(dir, "ca.pem")}\n`);
        const env = { LOGAGENT_BASE_URL: `${address}/${place}`, CURL_CA_BUNDLE: join(dir, "ca.pem"), PATH: only };
        const { code, stderr, installed } = await install(env, { home, shell: [findTool("sh")!] });
        if (ok) expect([code, stderr]).toEqual([0, expect.stringContaining("installed logagent 1.0.0")]);
        else expect([code, stderr]).toEqual([1, expect.stringMatching(/fetching .*SHA256SUMS failed/)]);
        expect(existsSync(installed)).toBe(ok);
      }
    });
  }
});

test("whatever the umask, nobody else may write what is installed and everybody may run it", async () => {
  for (const umask of ["000", "077"]) {
    const { home, code } = await install({}, { umask });
    expect(code).toBe(0);
    for (const path of ["bin", "bin/logagent"]) expect(statSync(join(home, path)).mode & 0o777).toBe(0o755);
  }
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

  test("a directory where the program should be", async () => {
    const home = join(dir, "directory-home");
    const inTheWay = join(home, "bin", "logagent");
    mkdirSync(inTheWay, { recursive: true });
    const { code, stderr } = await install({}, { home });
    expect([code, stderr]).toEqual([1, expect.stringContaining(`${inTheWay} is a directory; remove it`)]);
    expect(readdirSync(join(home, "bin"))).toEqual(["logagent"]);
    expect(readdirSync(inTheWay)).toEqual([]);
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
  // Behind a shell that forgets BUN_*: the unit itself has no way to name them all.
  expect(stdout).toMatch(
    /^ExecStart=\/bin\/sh -c '.*' \/opt\/x\/logagent tail --config \/etc\/logagent\/logagent.yaml$/m,
  );
  for (const line of [
    "ExecReload=/bin/kill -HUP $MAINPID",
    "RestartPreventExitStatus=64 78",
    "UMask=0077",
    "LimitCORE=0",
    "SystemCallFilter=@system-service",
    "DynamicUser=yes",
    "CapabilityBoundingSet=",
  ]) {
    expect(stdout.split("\n")).toContain(line);
  }
  expect(stdout).not.toMatch(/^MemoryDenyWriteExecute/m);
});

describe("what the service runs", () => {
  /** Code that the runtime would run before the program's own. */
  const evil = join(dir, "evil.js");
  const env = {
    BUN_INSPECT_PRELOAD: evil,
    BUN_OPTIONS: `--preload ${evil}`,
    BUN_BE_BUN: "1",
    BUN_JSC_dumpOptions: "2",
  };

  beforeAll(() => writeFileSync(evil, "console.error('evil ran');\n"));

  /** The words of ExecStart as systemd hands them on, with the real binary and without a configuration. */
  async function words(): Promise<string[]> {
    const { stdout } = await install({ LOGAGENT_INSTALL_DIR: "/opt/x" }, { args: ["--print-unit"] });
    const line = /^ExecStart=(.*)$/m.exec(stdout)![1]!.replaceAll("$$", "$").replace("/opt/x/logagent", binary());
    return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
  }

  test("a variable of the runtime runs nothing", async () => {
    const plain = await run([binary(), "--help"], { env: { BUN_INSPECT_PRELOAD: evil } });
    expect(plain.stderr).toContain("evil ran");
    const served = await words();
    const config = served.indexOf("/etc/logagent/logagent.yaml");
    const { code, stdout, stderr } = await run(served.with(config, join(dir, "none.yaml")), { env });
    expect(stdout + stderr).not.toContain("evil ran");
    expect([code, stderr]).toEqual([78, expect.stringContaining("none.yaml")]);
  });

  test("the OpenRC script forgets them too", async () => {
    const { stdout } = await install({ LOGAGENT_INSTALL_DIR: "/opt/x" }, { args: ["--print-openrc"] });
    const left = await run(["sh", "-c", `${stdout}\nenv | grep -c ^BUN_`], { env });
    expect(left.stdout).toBe("0\n");
    expect(stdout).toContain('command="/opt/x/logagent"\n');
  });

  testWith(["strace", "systemd-analyze"])(
    "the filter of system calls lets through all that the program makes",
    async () => {
      const { stdout } = await run(["systemd-analyze", "syscall-filter"]);
      const sets = new Map<string, string[]>();
      for (const part of stdout.split(/^(?=@)/m)) {
        const [name, ...members] = part.split("\n").map((line) => line.trim());
        sets.set(
          name!,
          members.filter((member) => /^@?[a-z0-9_-]+$/.test(member)),
        );
      }
      const all = (name: string): string[] =>
        sets.get(name)?.flatMap((one) => (one.startsWith("@") ? all(one) : one)) ?? [];
      const forbidden = new Set(all("@privileged"));
      const allowed = new Set(all("@system-service").filter((name) => !forbidden.has(name)));
      expect(allowed.size).toBeGreaterThan(200);

      const home = join(dir, "traced");
      mkdirSync(home);
      writeFileSync(join(home, "a.log"), "one\ntwo\n");
      const { brokers } = await sharedKafka();
      const tail = [
        "tail",
        join(home, "a.log"),
        "--topic",
        await createTopic(brokers, uniqueTopic("filter"), 1),
        "--brokers",
        brokers,
      ];
      const { code, stderr } = await run([
        "strace",
        "-f",
        "-qq",
        "-o",
        join(home, "calls"),
        binary(),
        ...tail,
        "--once",
        "--state",
        join(home, "state", "s.jsonl"),
        "--metrics-listen",
        "127.0.0.1:0",
        "--delivery",
        "exactly-once",
        "--compression",
        "zstd",
      ]);
      expect([code, stderr]).toEqual([0, expect.any(String)]);
      const made = new Set(
        [...readFileSync(join(home, "calls"), "utf8").matchAll(/^\d+ +([a-z0-9_]+)\(/gm)].map(([, name]) => name!),
      );
      expect(made.size).toBeGreaterThan(30);
      // The tracer shows the call that starts the program; the rest is the program's own.
      expect([...made].filter((name) => !allowed.has(name))).toEqual([]);
    },
    120_000,
  );
});
