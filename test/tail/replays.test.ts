/** What the simulation found, in its shortest form. */
import { expect, test } from "bun:test";
import { type Action, Model, type World } from "./model.ts";

const found: Record<string, [World["identity"], Action[], boolean?]> = {
  "an empty log is written to after a start, renamed and compressed before it is read": [
    "birth",
    [
      { do: "copytruncate", regrow: 0 },
      { do: "copytruncate", regrow: 0 },
      { do: "tick", ms: 1 },
      { do: "stop" },
      { do: "start" },
      { do: "write", lines: 1 },
      { do: "steps", n: 1 },
      { do: "rename", create: false },
      { do: "compress", zstd: false },
      { do: "checkpoint" },
      { do: "write", lines: 1 },
      { do: "write", lines: 1 },
      { do: "settle", share: 0.1 },
      { do: "tick", ms: 1 },
    ],
    true,
  ],
  "a copy has the inode of a file that was gone before anything was read of it": [
    "inode",
    [
      { do: "copytruncate", regrow: 0 },
      { do: "rename", create: false },
      { do: "rename", create: false },
      { do: "compress", zstd: false },
      { do: "compress", zstd: false },
      { do: "rename", create: false },
      { do: "tick", ms: 1 },
      { do: "truncate", regrow: 1 },
      { do: "copytruncate", regrow: 0 },
      { do: "steps", n: 1 },
      { do: "tick", ms: 1 },
    ],
  ],
  "a copy has the inode of an empty file that was compressed": [
    "inode",
    [
      { do: "copytruncate", regrow: 0 },
      { do: "compress", zstd: false },
      { do: "tick", ms: 1 },
      { do: "rename", create: false },
      { do: "partial" },
      { do: "copytruncate", regrow: 0 },
      { do: "compress", zstd: false },
      { do: "copytruncate", regrow: 40 },
      { do: "copytruncate", regrow: 0 },
      { do: "write", lines: 1 },
    ],
  ],
  "a copy has the inode of a compressed file that is still held": [
    "inode",
    [
      { do: "stop" },
      { do: "write", lines: 1 },
      { do: "rename", create: false },
      { do: "compress", zstd: false },
      { do: "rename", create: false },
      { do: "rename", create: false },
      { do: "rename", create: false },
      { do: "write", lines: 1 },
      { do: "start" },
      { do: "tick", ms: 1 },
      { do: "partial" },
      { do: "write", lines: 1 },
      { do: "copytruncate", regrow: 0 },
    ],
  ],
  "an empty log was rotated and two logs more before its name was looked at": [
    "birth",
    [
      { do: "write", lines: 1 },
      { do: "steps", n: 1 },
      { do: "copytruncate", regrow: 0 },
      { do: "rename", create: false },
      { do: "compress", zstd: false },
      { do: "write", lines: 1 },
      { do: "copytruncate", regrow: 40 },
      { do: "copytruncate", regrow: 1 },
    ],
  ],
  "a copy has the name and the inode of an empty log that was rotated before": [
    "inode",
    [
      { do: "truncate", regrow: 0 },
      { do: "rename", create: false },
      { do: "truncate", regrow: 40 },
      { do: "steps", n: 1 },
      { do: "compress", zstd: false },
      { do: "copytruncate", regrow: 0 },
      { do: "steps", n: 1 },
    ],
    true,
  ],
  "a copy has the name and the inode of an empty log that is opened again": [
    "inode",
    [
      { do: "truncate", regrow: 0 },
      { do: "rename", create: false },
      { do: "truncate", regrow: 40 },
      { do: "stop" },
      { do: "start" },
      { do: "checkpoint" },
      { do: "partial" },
      { do: "steps", n: 1 },
      { do: "compress", zstd: false },
      { do: "copytruncate", regrow: 1 },
      { do: "checkpoint" },
      { do: "checkpoint" },
      { do: "steps", n: 1 },
      { do: "stop" },
      { do: "tick", ms: 1 },
      { do: "tick", ms: 1 },
      { do: "stop" },
      { do: "partial" },
    ],
    true,
  ],
  "a compressed file known by its first bytes is renamed and renumbered before it is read": [
    "none",
    [
      { do: "write", lines: 1 },
      { do: "rename", create: false },
      { do: "compress", zstd: false },
      { do: "kill" },
      { do: "renameOver", lines: 1 },
      { do: "start" },
      { do: "rename", create: false },
      { do: "renumber" },
      { do: "start" },
      { do: "truncate", regrow: 0 },
    ],
  ],
};

for (const [what, [identity, actions, wide = false]] of Object.entries(found)) {
  test(`nothing is lost and nothing twice where ${what}`, async () => {
    const model = new Model({ wide, header: false, padding: 0, maxOpenFiles: 1, identity });
    await model.run(actions);
    expect(model.problems).toEqual([]);
  });
}
