import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * Returns one line for everything in a directory, .git included: path, mode, owner and content, and with `facts` size, time
 * and number of the file.
 */
export function digestDirectory(directory: string, { facts: withFacts = true } = {}): string[] {
  const lines: string[] = [];
  const visit = (path: Buffer): void => {
    const facts = lstatSync(path, { bigint: true });
    const content = facts.isFile()
      ? createHash("sha1").update(readFileSync(path)).digest("hex")
      : facts.isSymbolicLink()
        ? readlinkSync(path, "latin1")
        : "";
    const { mode, uid, gid, size, mtimeNs, ino, nlink } = facts;
    const more = withFacts ? [size, mtimeNs, ino, nlink] : [];
    lines.push([path.toString("latin1"), mode, uid, gid, ...more, content].join(" "));
    if (!facts.isDirectory()) return;
    const names = readdirSync(path, { encoding: "buffer" }).sort((a, b) => Buffer.compare(a, b));
    for (const name of names) visit(Buffer.concat([path, Buffer.from("/"), name]));
  };
  visit(Buffer.from(directory));
  return lines;
}
