/** What the mount a path lies on can be trusted with, from `/proc/self/mountinfo` (never touches the mount itself). */
import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";

export interface Traits {
  /** Calls may hang while a server is away: they go through the thread pool. */
  network: boolean;
  /** Inode numbers and birth times mean something: a different one is a different file. */
  stable: boolean;
  /** The kernel makes its files up as they are read (proc, sysfs, devices). */
  virtual?: boolean;
  /** Where the file system is mounted: files of one server wait together. */
  mount?: string;
}

/** Milliseconds the clock of a file's times may be behind ours on a stable mount: the kernel's tick. */
export const stableSlack = 20;

const network =
  /^(nfs|cifs|smb|fuse\.(sshfs|glusterfs|ceph|s3fs|rclone|gcsfuse|davfs)|fuse\.mount-s3|ceph|glusterfs|afs|9p|lustre|gpfs|beegfs|ocfs2|davfs|ncpfs|coda|orangefs)/;
const virtual =
  /^(proc|sysfs|devtmpfs|devpts|cgroup2?|debugfs|tracefs|securityfs|configfs|pstore|bpf|binfmt_misc|efivarfs|mqueue|fusectl|selinuxfs)$/;
const stable = /^(ext[234]|xfs|btrfs|tmpfs|f2fs|zfs|ramfs|bcachefs|jfs|reiserfs|apfs|hfs|ufs)$/;

let mounts: { point: string; traits: Traits }[] | null = null;
let readAt = 0;
/** By directory. */
let known = new Map<string, Traits>();
/** The directory that was asked for last: thousands of files mostly lie in one. */
let last: { directory: string; traits: Traits } | null = null;

/** Traits of the mount that holds `path`. The table is read again after 30 s. */
export function mountTraits(path: string): Traits {
  if (mounts === null || performance.now() - readAt > 30_000) {
    mounts = readMounts();
    known = new Map();
    last = null;
    readAt = performance.now();
  }
  const length = path.lastIndexOf("/") + 1;
  if (last !== null && last.directory.length === length && path.startsWith(last.directory)) return last.traits;
  const directory = path.slice(0, length);
  let traits = known.get(directory);
  if (!traits) {
    traits = find(mounts, isAbsolute(directory) ? directory : join(process.cwd(), directory, "/"));
    known.set(directory, traits);
  }
  last = { directory, traits };
  return traits;
}

function find(table: { point: string; traits: Traits }[], directory: string): Traits {
  for (const { point, traits } of table)
    if (directory.startsWith(point.endsWith("/") ? point : `${point}/`)) return traits;
  return { network: false, stable: process.platform === "darwin" };
}

/** Type of a file system → traits. */
export function traitsOf(type: string): Traits {
  const traits = { network: network.test(type), stable: stable.test(type) };
  return virtual.test(type) ? { ...traits, virtual: true } : traits;
}

function readMounts(): { point: string; traits: Traits }[] {
  try {
    const found = parseMounts(readFileSync("/proc/self/mountinfo", "utf8"));
    return found.sort((a, b) => b.point.length - a.point.length);
  } catch {
    return [];
  }
}

/** Mount points and traits; later lines hide earlier ones of the same point (proc(5)). */
export function parseMounts(text: string): { point: string; traits: Traits }[] {
  const points = new Map<string, Traits>();
  for (const line of text.split("\n")) {
    const [left, right] = line.split(" - ");
    const point = left
      ?.split(" ")[4]
      ?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const type = right?.split(" ")[0];
    if (point && type) points.set(point, { ...traitsOf(type), mount: point });
  }
  return [...points].map(([point, traits]) => ({ point, traits }));
}
