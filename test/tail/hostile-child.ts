/** Plays user nobody, who may write into a watched directory: exchanges files and links as fast as he can until killed. */
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [dir = "", secret = ""] = process.argv.slice(2);
process.setgroups?.([]);
process.setgid?.(65_534);
process.setuid?.(65_534);

const path = (name: string) => join(dir, name);
const exchange = (name: string, target: string) => {
  rmSync(path("new"), { force: true });
  symlinkSync(target, path("new"));
  renameSync(path("new"), path(name));
};
const restore = (name: string, k: number) => {
  rmSync(path("new"), { force: true });
  writeFileSync(path("new"), `own ${name} ${k}\n`);
  renameSync(path("new"), path(name));
};
mkdirSync(path("real"));
writeFileSync(path("real/secret.log"), "own inner\n");
for (let k = 0; ; k++) {
  renameSync(path("real"), path("d"));
  restore("swap.log", k);
  exchange("swap.log", secret);
  renameSync(path("d"), path("real"));
  symlinkSync(join(secret, ".."), path("d"));
  restore("device.log", k);
  exchange("device.log", "/dev/zero");
  unlinkSync(path("d"));
  if (k % 50 === 0) appendFileSync(path("rounds.txt"), `${k}\n`);
}
