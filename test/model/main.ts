import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { CATALOG } from "./catalog.ts";
import { COMMON_PARAMETERS } from "./scenario.ts";
import { startScriptedModel } from "./scripted-model.ts";

const USAGE = `Usage: node test/model/main.ts [--host H] [--port N] [--key-file F] [--list]

A Messages API that plays scenarios. Name one in the task: [scenario: multi-file-change chunk-ms=20]
  --host H       address to listen on (127.0.0.1)
  --port N       port to listen on (any free one)
  --key-file F   file with the only credential that is accepted (all are)
  --list         print the scenarios with their parameters and exit
`;

interface Arguments {
  readonly host?: string;
  readonly port: number;
  readonly keyFile?: string;
  readonly show?: string;
}

function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      host: { type: "string" },
      port: { type: "string", default: "0" },
      "key-file": { type: "string" },
      list: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new RangeError(`"${values.port}" is not a port.`);
  return {
    port,
    ...(values.host !== undefined && { host: values.host }),
    ...(values["key-file"] !== undefined && { keyFile: values["key-file"] }),
    ...(values.list === true && { show: scenarioList() }),
    ...(values.help === true && { show: USAGE }),
  };
}

function argumentsOrUsage(): Arguments {
  try {
    return readArguments();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

function scenarioList(): string {
  const lines = CATALOG.map(({ name, parameters, summary }) => {
    const defaults = Object.entries(parameters).map(
      ([key, value]) => ` ${key}=${/^\S+$/.test(String(value)) ? value : JSON.stringify(value)}`,
    );
    return `${name}${defaults.join("")}\n    ${summary}\n`;
  });
  return `${lines.join("")}Every scenario also takes ${Object.keys(COMMON_PARAMETERS).join(", ")}.\n`;
}

const { host, port, keyFile, show } = argumentsOrUsage();
if (show !== undefined) {
  process.stdout.write(show);
  process.exit(0);
}

const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
process.once("SIGINT", () => stopping.abort());
const key = keyFile === undefined ? undefined : (await readFile(keyFile, "utf8")).trim();
await using model = await startScriptedModel({ ...(host !== undefined && { host }), port, key });
process.stdout.write(`listening on ${model.url}\n`);
if (!stopping.signal.aborted) await once(stopping.signal, "abort");
