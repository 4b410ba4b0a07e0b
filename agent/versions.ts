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

/** Asks the programs for their versions. Never rejects. */
export async function readVersions(
  config: AgentConfig,
  options: { timeouts: Timeouts; log: Logger },
): Promise<Versions> {
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
  const [claude, git] = await Promise.all([ask(config.claudeCommand), ask("git")]);
  return { agent: AGENT_VERSION, claude, git };
}
