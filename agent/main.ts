import { pino } from "pino";
import { AppError } from "../proto/index.ts";
import { createAgent } from "./agent.ts";
import { type AgentConfig, readConfig } from "./config.ts";
import { EXIT_CODES } from "./exit-codes.ts";
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
// Straight to the descriptor: the last lines must be out before the process is gone.
const log = pino({ level: config.logLevel, base: null }, pino.destination({ fd: 2, sync: true }));

process.on("uncaughtException", (error) => {
  log.fatal({ err: error }, "the agent failed");
  process.exit(EXIT_CODES.failed);
});

async function runAgent(): Promise<number> {
  const agent = await createAgent(config, { log });
  let signaled = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (signaled) return;
    signaled = true;
    log.info({ signal }, "ending");
    // Whatever hangs: the container's own deadline must find a log line.
    setTimeout(() => {
      log.error("the shutdown took too long");
      process.exit(EXIT_CODES.failed);
    }, TIMEOUTS.shutdownMs);
    void agent.close();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  await agent.listen();
  return (await agent.exited).exitCode;
}

try {
  process.exit(await runAgent());
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  log.fatal({ err: error, reason: error.reason }, error.toSentence());
  process.exit(EXIT_CODES.listenFailed);
}
