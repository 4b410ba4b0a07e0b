import { startupSnapshot } from "node:v8";
import { AppError } from "../proto/index.ts";
import { createAgent } from "./agent.ts";
import { type AgentConfig, readConfig } from "./config.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import { createLogger, type Logger } from "./log.ts";
import { TIMEOUTS } from "./timeouts.ts";
import { noteClaude } from "./versions.ts";
import { warmUp } from "./warm-up.ts";

function readConfigOrExit(): AgentConfig {
  try {
    return readConfig(process.env, { ownUid: process.getuid?.() ?? -1 });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    process.stderr.write(`${error.toSentence()}\n`);
    process.exit(EXIT_CODES.configurationInvalid);
  }
}

/** Whatever hangs while the agent ends: the container's own deadline must find a last line. */
function endInTime(exitCode: number, log: Logger): void {
  setTimeout(() => {
    log.error({}, "the shutdown took too long");
    process.exit(exitCode);
  }, TIMEOUTS.shutdownMs);
}

async function runAgent(config: AgentConfig, log: Logger): Promise<number> {
  const agent = await createAgent(config, { log });
  let ending = false;
  const end = (exitCode: number) => {
    if (ending) return;
    ending = true;
    endInTime(exitCode, log);
    void agent.close();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      log.info({ signal }, "ending");
      end(EXIT_CODES.closed);
    });
  }
  let failed = false;
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "the agent failed");
    // What Claude has done so far may still be saved.
    failed = true;
    end(EXIT_CODES.failed);
  });
  await agent.listen();
  const { exitCode } = await agent.exited;
  return failed ? EXIT_CODES.failed : exitCode;
}

async function main(): Promise<void> {
  // The socket is for root alone, whatever the image says.
  process.umask(0o077);
  const config = readConfigOrExit();
  const log = createLogger(config.logLevel);
  try {
    process.exit(await runAgent(config, log));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    log.fatal({ err: error, reason: error.reason }, error.toSentence());
    process.exit(EXIT_CODES.listenFailed);
  }
}

// The image holds the agent as it is here, with all its modules evaluated.
if (startupSnapshot.isBuildingSnapshot()) {
  warmUp();
  const { claudeCommand, path } = readConfigOrExit();
  void noteClaude({ claudeCommand, path });
  startupSnapshot.setDeserializeMainFunction(() => void main());
} else void main();
