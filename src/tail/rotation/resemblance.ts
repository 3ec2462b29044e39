/** Which of many files a path could be a copy of, by what is known of their beginnings: one read instead of one for each. */
import type { FollowedFile } from "../files/file.ts";
import type { Fs } from "../fs/fs.ts";
import { withContent } from "../identity/fingerprint.ts";
import { fingerprintBytes, hashBytes } from "../identity/identity.ts";

/** Those of `files` whose known beginning agrees with that of the path; all of them where that cannot be told. */
export function resembling(fs: Fs, path: string, files: readonly FollowedFile[]): readonly FollowedFile[] {
  if (files.length < 2 || !fs.traits(path).stable) return files;
  const head = headAt(fs, path);
  if (head === null) return files;
  const hashes = new Map<number, string>();
  const hashOf = (length: number) => {
    const known = hashes.get(length) ?? hashBytes(head.subarray(0, length));
    hashes.set(length, known);
    return known;
  };
  return files.filter((file) => {
    const { fingerprint, head: own } = file;
    if (fingerprint.length === 0) return true;
    if (own !== null && own.length > 0) {
      const length = Math.min(own.length, head.length);
      return own.subarray(0, length).equals(head.subarray(0, length));
    }
    return head.length < fingerprint.length || hashOf(fingerprint.length) === fingerprint.hash;
  });
}

function headAt(fs: Fs, path: string): Buffer | null {
  try {
    return withContent(fs, path, (content) => content.read(0, fingerprintBytes));
  } catch {
    return null; // the comparisons say so
  }
}
