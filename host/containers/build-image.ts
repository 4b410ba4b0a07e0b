import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { AppError } from "../../proto/index.ts";

/** Script that builds images, the same as in a clone. This file is in dist/host in the end, as far from it as here. */
export const BUILD_SCRIPT = fileURLToPath(new URL("../../docker/build-image.mjs", import.meta.url));

/** Lines of a tool's output that an error is told with, at most. */
const TOLD_LINES = 3;

/** Image to build, and where its making is told. */
export interface BuildOptions {
  image: string;
  /** Image to build on. Undefined: the public one where it can be had, otherwise one that is made on this machine. */
  base: string | undefined;
  /** Variables that name the proxies to fetch by, beside those of the environment. */
  proxies: Readonly<Record<string, string>>;
  /** Version of Claude Code that it has at least. Undefined: the usual one. */
  atLeast: string | undefined;
  onLine: (line: string) => void;
  /** Signal that ends the build. What it has made is used by the next one. */
  signal: AbortSignal;
}

/**
 * Builds the agent's image with what the package carries, and installs nothing on this machine for it. One build runs at
 * a time for each user: whoever comes second waits, and has nothing left to do. Throws IMAGE_BUILD_FAILED.
 */
export async function buildAgentImage({ image, base, proxies, atLeast, onLine, signal }: BuildOptions): Promise<void> {
  const options = { tag: image, base, "at-least": atLeast };
  const given = Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  const child = spawn(process.execPath, [BUILD_SCRIPT, "--no-install", ...given], {
    cwd: "/",
    env: { ...process.env, ...proxies },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    signal,
    // Its own are ended, and its secrets removed.
    killSignal: "SIGTERM",
  });
  let failure: { message: string; hint?: string } | undefined;
  child.on("message", (told) => (failure = told as typeof failure));
  let last = "";
  createInterface({ input: child.stderr! }).on("line", (line) =>
    onLine((last = line.replace(/^claudecluster: +/, ""))),
  );
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code === 0) return;
  throw new AppError(
    "IMAGE_BUILD_FAILED",
    `The agent's image could not be built: ${shorten(failure?.message ?? last)}`,
    {
      help: [failure?.hint, "Then start the session again, or see it in full: claudecluster image"].join(" ").trim(),
      metadata: { image },
    },
  );
}

/** What failed, the last of what the tool said, and where all of it is. */
function shorten(message: string): string {
  const [what = "", ...more] = message.split("\n").map((line) => line.trim());
  const where = more.length > 0 ? [more.pop()!] : [];
  return [what, ...more.slice(-TOLD_LINES), ...where].join("\n");
}
