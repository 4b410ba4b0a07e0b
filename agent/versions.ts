import { stat } from "node:fs/promises";
import type { Logger } from "./log.ts";
import type { AgentConfig } from "./config.ts";
import { findCommand } from "./process/find-command.ts";
import { run } from "./process/run.ts";
import type { Timeouts } from "./timeouts.ts";

/** The version of this package; set by the build. */
const AGENT_VERSION = process.env.CLAUDECLUSTER_VERSION ?? "0.0.0-source";

/** Versions of the programs in the container. Empty: it is not there. */
export interface Versions {
  readonly agent: string;
  readonly claude: string;
  readonly git: string;
}

/** Ways to ask the programs for their versions, each at its first call. They never reject. */
export interface VersionReader {
  claude(): Promise<string>;
  all(): Promise<Versions>;
}

type Place = Pick<AgentConfig, "claudeCommand" | "path">;

/** Claude Code of the image that holds this agent as a snapshot: its file, and its version. Undefined: it is not known. */
let ofImage: { file: string; version: string } | undefined;

/** Notes which Claude Code there is, for agents of the snapshot that is being made: to ask it takes as long as much else at a start. */
export async function noteClaude(place: Place): Promise<void> {
  const file = await fileOf(place);
  const options = { env: { PATH: place.path }, signal: new AbortController().signal, maxOutputBytes: 4096 };
  const { stdout } = await run(place.claudeCommand, ["--version"], options);
  ofImage = { file, version: versionIn(stdout) };
}

/** Returns what tells a program from the one that an image made from this one has put in its place. */
async function fileOf({ claudeCommand, path }: Place): Promise<string> {
  const file = await findCommand(claudeCommand, path);
  const { size, mtimeMs } = await stat(file);
  // Layers may keep no more of it.
  return JSON.stringify([file, size, Math.floor(mtimeMs / 1000)]);
}

const versionIn = (output: Buffer): string => /\d+\.\d+[\w.+-]*/.exec(output.toString("utf8"))?.[0] ?? "";

/** Returns a reader of the container's versions. */
export function versionReader(config: AgentConfig, options: { timeouts: Timeouts; log: Logger }): VersionReader {
  const ask = async (command: string): Promise<string> => {
    try {
      const { stdout } = await run(command, ["--version"], {
        identity: config.sessionIdentity,
        env: { PATH: config.path, HOME: config.home, LANG: "C.UTF-8" },
        signal: AbortSignal.timeout(options.timeouts.versionMs),
        maxOutputBytes: 4096,
      });
      return versionIn(stdout);
    } catch (error) {
      options.log.warn({ err: error, command }, "asking for the version failed");
      return "";
    }
  };
  const askClaude = async () => {
    const known = ofImage !== undefined && (await fileOf(config).catch(() => "")) === ofImage.file;
    return known ? ofImage!.version : await ask(config.claudeCommand);
  };
  let claude: Promise<string> | undefined;
  let git: Promise<string> | undefined;
  const reader = {
    claude: () => (claude ??= askClaude()),
    all: async () => {
      git ??= ask("git");
      return { agent: AGENT_VERSION, claude: await reader.claude(), git: await git };
    },
  };
  return reader;
}
