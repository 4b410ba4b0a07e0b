import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { AppError } from "../../proto/index.ts";

/** A file of the page, as it is sent. */
export interface PageFile {
  type: string;
  content: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Beside the bundle that this file is in; of the sources the one that was built of them. */
const DIRECTORY = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../../dist/host/page/" : "page/", import.meta.url),
);

/** Reads the page, by the paths that it is asked for. Nothing else is ever sent. Throws PAGE_MISSING. */
export function readPage(directory = DIRECTORY): ReadonlyMap<string, PageFile> {
  try {
    const names = readdirSync(directory).filter((name) => extname(name) in TYPES);
    const file = (name: string): PageFile => ({
      type: TYPES[extname(name)]!,
      content: readFileSync(`${directory}/${name}`),
    });
    const files = new Map(names.map((name) => [`/${name}`, file(name)] as const));
    return files.set("/", file("index.html"));
  } catch (cause) {
    throw new AppError("PAGE_MISSING", `The page's files cannot be read: ${directory}`, {
      help: "Install the package again; of a clone: npm run build.",
      cause,
    });
  }
}
