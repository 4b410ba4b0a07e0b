import { AppError } from "../proto/index.ts";
import { createAgent } from "./agent.ts";
import { type AgentConfig, readConfig } from "./config.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import { createLogger } from "./log.ts";
import { TIMEOUTS } from "./timeouts.ts";

// The socket is for root alone, whatever the image says.
process.umask(0o077);

function readConfigOrExit(): AgentConfig {
  try {
    return readConfig(process.env, { ownUid: process.getuid?.() ?? -1 });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    process.stderr.write(`${error.toSentence()}\n`);
    process.exit(EXIT_CODES.configurationInvalid);
  }
}

const config = readConfigOrExit();
const log = createLogger(config.logLevel);

/** Whatever hangs while the agent ends: the container's own deadline must find a last line. */
function endInTime(exitCode: number): void {
  setTimeout(() => {
    log.error({}, "the shutdown took too long");
    process.exit(exitCode);
  }, TIMEOUTS.shutdownMs);
}

async function runAgent(): Promise<number> {
  const agent = await createAgent(config, { log });
  let ending = false;
  const end = (exitCode: number) => {
    if (ending) return;
    ending = true;
    endInTime(exitCode);
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

try {
  process.exit(await runAgent());
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  log.fatal({ err: error, reason: error.reason }, error.toSentence());
  process.exit(EXIT_CODES.listenFailed);
}
