/** What the parts of one tailer share. */
import type { Clock, Random } from "../../runtime.ts";
import type { Discovery } from "../discovery/walk.ts";
import type { Judgement } from "../files/decisions.ts";
import type { Descriptors } from "../files/descriptors.ts";
import type { FollowedFile } from "../files/file.ts";
import type { Registry } from "../files/registry.ts";
import type { Troubles } from "../files/troubles.ts";
import type { AwaitedMounts } from "../files/unreachable-mounts.ts";
import type { Fs } from "../fs/fs.ts";
import type { Identity } from "../identity/identity.ts";
import type { TailEvent, TailOptions } from "../types.ts";
import type { ForeignFiles } from "./foreign-files.ts";

export interface Context {
  readonly options: TailOptions;
  readonly fs: Fs;
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: Registry;
  readonly descriptors: Descriptors;
  readonly discovery: Discovery;
  readonly awaited: AwaitedMounts;
  readonly troubles: Troubles;
  readonly foreign: ForeignFiles;
  readonly timing: Timing;
  readonly judgement: Judgement;
  event(level: TailEvent["level"], name: string, message: string, more?: Partial<TailEvent>): void;
  /** There may be something to read. */
  enqueue(file: FollowedFile): void;
  /** Looks at the file again in `interval` ms. */
  schedule(file: FollowedFile, interval: number): void;
  /** Takes the file out of the schedule. */
  park(file: FollowedFile): void;
  /** Looks at the file now: it may have been truncated or renamed since the last look. */
  look(file: FollowedFile): void;
  discoverSoon(): void;
  /** Events tell of changes beside this path: looks are only the net below. */
  watched(path: string): boolean;
  newFile(path: string, identity: Identity, position: number): FollowedFile;
}

/** Milliseconds. */
export interface Timing {
  /** A renamed or deleted file is let go when it was quiet for so long (and settled, and replaced or without a name). */
  release: number;
  /** The same where nothing sits at its old path: its writer may go on for long. */
  releaseUnreplaced: number;
  /** How long the states of files that are gone are kept, so that a copy is recognised. */
  retention: number;
}

export const defaultTiming: Timing = { release: 60_000, releaseUnreplaced: 600_000, retention: 24 * 3_600_000 };
