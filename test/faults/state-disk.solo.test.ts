/**
 * The disk under the state is full, failing or read-only: no line is lost, the message is clear, exit 74 where the agent
 * must stop, and it goes on once space is back. Mutant caught: the error of an fsync ignored.
 */
import { beforeAll, describe, expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { isRoot, testWith } from "../support/tools.ts";
import { pause } from "../support/wait.ts";
import { expectEveryLineOnce, expectNothingLost, type Rig, waitUntilReceived, withRig } from "./rig.ts";

let brokers = "";

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 120_000);

function mount(...args: string[]): void {
  const { status, stderr } = spawnSync("mount", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`mount ${args.join(" ")}: ${stderr}`);
}

/** A tmpfs as the rig's state directory while `body` runs. */
async function onTmpfs(rig: Rig, size: string, body: () => Promise<void>): Promise<void> {
  mkdirSync(rig.stateDir);
  mount("-t", "tmpfs", "-o", `size=${size},mode=0700`, "logagent-test", rig.stateDir);
  try {
    await body();
  } finally {
    await rig.agent?.stop("SIGKILL");
    spawnSync("umount", ["-l", rig.stateDir]);
  }
}

/** Root inside a container may not be allowed to mount. */
function mayMount(): boolean {
  if (!isRoot) return false;
  const dir = tempDir("mount");
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4k", "logagent-test", dir]).status === 0;
  if (mounted) spawnSync("umount", [dir]);
  removeDir(dir);
  return mounted;
}

const needsMount = mayMount() ? [] : ["root that may mount"];

for (const delivery of ["at-least-once", "exactly-once"] as const) {
  const options = async () => ({ brokers, delivery, topic: await createTopic(brokers, uniqueTopic("disk"), 2) });
  const judge = async (rig: Rig) => {
    const finding = await rig.verdict();
    if (delivery === "exactly-once") expectEveryLineOnce(finding);
    else expectNothingLost(finding);
  };

  describe(delivery, () => {
    testWith(needsMount)(
      "a file system of 8 KB fills up and is made larger",
      async () => {
        await withRig({ ...(await options()), flags: ["--checkpoint-interval", "100ms"] }, (rig) =>
          onTmpfs(rig, "8k", async () => {
            rig.load(200);
            const agent = rig.start();
            await agent.says(/No space left|ENOSPC|no space/i);
            await pause(1_000);
            expect(agent.running).toBe(true);
            mount("-o", "remount,size=4m", rig.stateDir);
            await pause(1_000);
            rig.quiet();
            await waitUntilReceived(rig);
            expect((await rig.end("SIGTERM"))?.code).toBe(0);
            await rig.catchUp();
            await judge(rig);
          }),
        );
      },
      120_000,
    );

    testWith(needsMount)(
      "a read-only file system",
      async () => {
        await withRig(await options(), (rig) =>
          onTmpfs(rig, "1m", async () => {
            mount("-o", "remount,ro", rig.stateDir);
            rig.writers[0]!.write(10);
            const ended = await rig.start().exited;
            rig.agent = undefined;
            expect(ended.code).toBe(74);
            expect(ended.stderr).toMatch(/read-only|EROFS/i);
            expect(ended.stderr).toContain(rig.stateDir);
            mount("-o", "remount,rw", rig.stateDir);
            await rig.catchUp();
            await judge(rig);
          }),
        );
      },
      60_000,
    );

    testWith(["strace"])(
      "an fsync that fails ends the agent with 74",
      async () => {
        await withRig(await options(), async (rig) => {
          rig.writers[0]!.write(100);
          await rig.catchUp();
          rig.load(500);
          const inject = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=2+"];
          const { code, stderr } = await rig.start([], ["strace", "-f", "-o", join(rig.dir, "trace"), ...inject])
            .exited;
          rig.agent = undefined;
          expect(stderr).toMatch(/EIO|i\/o error/i);
          expect(stderr).toContain(rig.state);
          expect(code).toBe(74);
          rig.quiet();
          await rig.catchUp();
          await judge(rig);
        });
      },
      60_000,
    );

    testWith(["strace"])(
      "writes that fail for a while",
      async () => {
        await withRig({ ...(await options()), flags: ["--checkpoint-interval", "100ms"] }, async (rig) => {
          rig.writers[0]!.write(100);
          await rig.catchUp();
          rig.load(500);
          const paths = ["-P", rig.state];
          const inject = ["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC:when=3..8"];
          const agent = rig.start([], ["strace", "-f", "-o", join(rig.dir, "trace"), ...paths, ...inject]);
          await agent.says(/ENOSPC|no space/i);
          await pause(3_000);
          rig.quiet();
          await waitUntilReceived(rig);
          await judge(rig);
        });
      },
      60_000,
    );
  });
}
