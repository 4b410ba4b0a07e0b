import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";

/** What a large repository is made of. */
export interface LargeRepository {
  files: number;
  /** Of one file, on the average. */
  fileBytes: number;
}

/** Files lie so many to a directory. */
const FILES_PER_DIRECTORY = 25;
const LINE_BYTES = 48;

/** Returns the path of a file, counted from 0. */
export function largePath(index: number): string {
  const directory = Math.floor(index / FILES_PER_DIRECTORY);
  return `part${directory % 40}/dir${Math.floor(directory / 40)}/file${index}.ts`;
}

/** Puts one commit with these files on the main branch of a bare repository. Twice the same: twice the same commit. */
export async function fillRepository(directory: string, { files, fileBytes }: LargeRepository): Promise<void> {
  const child = spawn("git", ["-C", directory, "fast-import", "--quiet", "--force"], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  const closed = once(child, "close");
  const write = async (data: string) => {
    if (!child.stdin.write(data)) await once(child.stdin, "drain");
  };
  await write("commit refs/heads/main\ncommitter Bench <bench@example.org> 1700000000 +0000\ndata 5\nlarge\n");
  for (let index = 0; index < files; index++) {
    // From half to one and a half times the average.
    const lineCount = Math.max(1, Math.round((fileBytes / LINE_BYTES) * (0.5 + ((index * 7919) % 1000) / 1000)));
    const content = Array.from({ length: lineCount }, (_, line) => textLine(`${index} ${line}`)).join("");
    await write(`M 100644 inline ${largePath(index)}\ndata ${content.length}\n${content}\n`);
  }
  child.stdin.end("done\n");
  const [code] = (await closed) as [number];
  if (code !== 0) throw new Error(`git fast-import ended with ${code}.`);
}

/** Looks like code, and compresses like it. */
function textLine(seed: string): string {
  const word = createHash("md5").update(seed).digest("hex");
  return `  const ${word.slice(0, 10)} = value("${word.slice(10, 24)}");\n`.padStart(LINE_BYTES);
}
