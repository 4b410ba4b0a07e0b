import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { bundleProgram } from "../../docker/build.mjs";
import type { GivenToProcess } from "./apply-process.ts";
import type { UserArea } from "./user-area.ts";

/** `apply-process.ts` in one file: as sources it takes longer to start than to run. */
export class KilledProgram implements AsyncDisposable {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async bundle(): Promise<KilledProgram> {
    const program = new KilledProgram(await mkdtemp(join(tmpdir(), "run-killed-")));
    await bundleProgram({ entry: "test/git/apply-process.ts", outfile: program.#file, version: "" });
    return program;
  }

  get #file(): string {
    return join(this.#directory, "apply-process.mjs");
  }

  /**
   * Applies a session's changes, or takes them back, in a process of its own, and has it killed at the n-th call of a function
   * of the file system, or of "any" that changes something or starts a git. With a count of 0 it lives. Returns how many calls
   * there were then.
   */
  run(
    area: UserArea,
    session: ReturnType<UserArea["changes"]>,
    { action = "apply", call, count }: { action?: GivenToProcess["action"]; call: string; count: number },
  ): number {
    const file = join(area.top, "given.json");
    const { directory, undoDirectory } = area;
    const given: GivenToProcess = {
      action,
      directory,
      undoDirectory,
      session: { ...session, patch: session.patch.toString("base64") },
    };
    writeFileSync(file, JSON.stringify(given));
    const { signal, status, stdout } = spawnSync(process.execPath, [this.#file, file, call, String(count)], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, TMPDIR: area.top },
      encoding: "utf8",
    });
    if (count === 0) expect(status).toBe(0);
    else expect(signal).toBe("SIGKILL");
    return Number(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true });
  }
}
