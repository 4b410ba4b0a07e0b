import { open, readFile } from "node:fs/promises";

const PAGE = 4096;
const CHUNK = 1024 * 1024;
const PRESENT = 0x80;

/**
 * Returns which of the texts are in the memory of a process, wherever it keeps them. Needs the right to trace it. See
 * https://man7.org/linux/man-pages/man5/proc_pid_mem.5.html
 */
export async function searchMemory(pid: number, texts: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  const longest = Math.max(...texts.map((text) => text.length));
  const maps = (await readFile(`/proc/${pid}/maps`, "utf8")).split("\n");
  await using memory = await open(`/proc/${pid}/mem`, "r");
  await using pages = await open(`/proc/${pid}/pagemap`, "r");
  for (const line of maps) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) r.{3} \S+ \S+ \d+\s*(\S*)/.exec(line);
    if (match === null || match[3]!.startsWith("[v")) continue;
    const end = Number.parseInt(match[2]!, 16);
    let tail = Buffer.alloc(0);
    for (let at = Number.parseInt(match[1]!, 16); at < end; at += CHUNK) {
      const size = Math.min(CHUNK, end - at);
      const { buffer: entries, bytesRead } = await pages.read(Buffer.alloc((size / PAGE) * 8), {
        position: (at / PAGE) * 8,
      });
      // Programs set aside much more than they touch.
      const touched = Array.from({ length: bytesRead / 8 }, (_, index) => entries[index * 8 + 7]! & PRESENT).some(
        Boolean,
      );
      const read = touched ? await memory.read(Buffer.alloc(size), { position: at }).catch(() => undefined) : undefined;
      if (read === undefined) {
        tail = Buffer.alloc(0);
        continue;
      }
      const bytes = Buffer.concat([tail, read.buffer.subarray(0, read.bytesRead)]);
      for (const text of texts) if (bytes.includes(text)) found.add(text);
      tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - longest)));
    }
  }
  return found;
}
