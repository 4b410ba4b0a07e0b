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

/** Of a hundred files so many are smaller or larger than the average, by this factor: most are small, and a few are most of it. */
const SIZES = [
  { below: 60, size: 0.2 },
  { below: 90, size: 0.8 },
  { below: 99, size: 4 },
  { below: 100, size: 28 },
];

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
    const share = SIZES.find(({ below }) => (index * 7919) % 100 < below)!.size;
    const lineCount = Math.max(1, Math.round((fileBytes / LINE_BYTES) * share));
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
