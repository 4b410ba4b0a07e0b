import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Runs `body` and returns the commands of git that were run meanwhile, by whomever, as in "ls-tree". */
export async function countGit(directory: string, body: () => Promise<unknown>): Promise<string[]> {
  const path = process.env["PATH"] ?? "";
  const real = path.split(":").find((folder) => existsSync(join(folder, "git")))!;
  const [bin, log] = [join(directory, "counting"), join(directory, "counted")];
  mkdirSync(bin, { recursive: true });
  writeFileSync(log, "");
  chmodSync(log, 0o666);
  // The first word that is a command: those before it are options, and the directory of -C.
  const script = `#!/bin/sh
for word; do case $word in -*|/*) ;; *) echo "$word" >> ${log}; break;; esac; done
exec ${real}/git "$@"
`;
  writeFileSync(join(bin, "git"), script, { mode: 0o755 });
  process.env["PATH"] = `${bin}:${path}`;
  try {
    await body();
  } finally {
    process.env["PATH"] = path;
  }
  return readFileSync(log, "utf8").split("\n").slice(0, -1);
}
