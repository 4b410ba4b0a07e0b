import type { Logger } from "./log.ts";
import type { AgentConfig } from "./config.ts";
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
      return /\d+\.\d+[\w.+-]*/.exec(stdout.toString("utf8"))?.[0] ?? "";
    } catch (error) {
      options.log.warn({ err: error, command }, "asking for the version failed");
      return "";
    }
  };
  let claude: Promise<string> | undefined;
  let git: Promise<string> | undefined;
  const reader = {
    claude: () => (claude ??= ask(config.claudeCommand)),
    all: async () => {
      git ??= ask("git");
      return { agent: AGENT_VERSION, claude: await reader.claude(), git: await git };
    },
  };
  return reader;
}
