import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onAbort } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import { run, signalGroup, spawnAs } from "../process/run.ts";

/**
 * Versions of Claude Code that read their credentials, and wait for them, before they read anything of the directory in which
 * they start: test/e2e/early-claude.test.ts compares what the model is told.
 */
export const WAITING_VERSIONS: readonly string[] = ["2.1.332"];

const FILE = ".credentials.json";

/**
 * Makes the directories $1, Claude's own, and $2, and says so once a pipe is where the credentials would be; removes it and says so
 * once somebody waits to read it, who is told after a line from stdin that there are no credentials. $3 is for CLAUDE.md.
 */
const KEEP = `set -e
umask 022
mkdir -p -- "$1" "$2"
umask 077
printf %s "$3" > "$1/CLAUDE.md"
mkfifo -- "$1/${FILE}"
echo made
exec 3> "$1/${FILE}"
rm -- "$1/${FILE}"
echo reached
read -r line
echo '{}' >&3`;

/** A file with real credentials is not ours. */
const REMOVE = '[ ! -p "$1" ] || rm -f -- "$1"';
const REMOVE_MS = 10_000;

/** Home and user of the Claude that is to wait, and what it is to find there. */
export interface GateOptions {
  home: string;
  /** Directory in which it starts; made if it is not there. */
  cwd: string;
  /** Content of the user's own CLAUDE.md. */
  instructions: string;
  /** Where programs are looked for. */
  path: string;
  identity: Identity | undefined;
}

/** Gate at which a Claude waits that was started before its files are there. Whoever makes it disposes of it, after that Claude. */
export class Gate implements AsyncDisposable {
  /** Resolves with true once Claude waits at the gate, with false if it never will. */
  readonly reached: Promise<boolean>;
  readonly #options: GateOptions;
  readonly #child: ChildProcess;
  readonly #made = Promise.withResolvers<boolean>();
  readonly #reached = Promise.withResolvers<boolean>();
  readonly #gone = Promise.withResolvers<undefined>();

  private constructor(options: GateOptions) {
    const { home, cwd, instructions, path, identity } = options;
    this.#options = options;
    this.reached = this.#reached.promise;
    const args = ["-c", KEEP, "sh", join(home, ".claude"), cwd, instructions];
    const child = spawnAs("sh", args, {
      identity,
      env: { PATH: path, LC_ALL: "C" },
      stdio: ["pipe", "pipe", "ignore"],
    });
    this.#child = child;
    const gone = () => {
      this.#made.resolve(false);
      this.#reached.resolve(false);
      this.#gone.resolve(undefined);
    };
    child.once("error", gone);
    child.stdin?.on("error", () => {});
    createInterface({ input: child.stdout! })
      .on("line", (word) => (word === "made" ? this.#made : this.#reached).resolve(true))
      .on("close", gone);
  }

  /** Directory in which the Claude that is to wait starts. */
  get cwd(): string {
    return this.#options.cwd;
  }

  /** Makes a gate. Undefined: there can be none here, or the signal came before it was made. */
  static async make({ signal, ...options }: GateOptions & { signal: AbortSignal }): Promise<Gate | undefined> {
    const gate = new Gate(options);
    using _watch = onAbort([signal], () => signalGroup(gate.#child, "SIGKILL"));
    if (await gate.#made.promise) return gate;
    await gate[Symbol.asyncDispose]();
    return undefined;
  }

  /** Lets Claude go on, once it has reached the gate. */
  open(): void {
    this.#child.stdin?.end("\n");
  }

  /** Removes it. Nothing is left that could hold up the next one. */
  async [Symbol.asyncDispose](): Promise<void> {
    signalGroup(this.#child, "SIGKILL");
    await this.#gone.promise;
    if (await this.reached) return;
    const { home, path, identity } = this.#options;
    const args = ["-c", REMOVE, "sh", join(home, ".claude", FILE)];
    // A directory that is not there any more holds nobody up.
    await run("sh", args, { identity, env: { PATH: path }, signal: AbortSignal.timeout(REMOVE_MS) }).catch(() => {});
  }
}
