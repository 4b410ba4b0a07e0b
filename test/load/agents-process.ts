// Agents of a load run, in a process of their own so that what they cost is not the host's. Each connection begins with a
// line that names its container. Arguments: socket path, and the options of an EmittingAgent as JSON.
import { createServer } from "node:net";
import { EmittingAgent, type EmittingAgentOptions } from "./emitting-agent.ts";
import { type Cost, measureCost } from "./process-cost.ts";
import { readLine } from "./read-line.ts";

/** What the process is told: to begin to measure itself, and to say what it has measured. */
export type AgentsOrder = "measure" | "measured";
/** What the process says: it listens; what it has cost. */
export type AgentsNote = { case: "ready" } | { case: "cost"; cost: Cost };

const [socketPath = "", options = ""] = process.argv.slice(2);
const agents = new Map<string, EmittingAgent>();
const say = (note: AgentsNote) => process.send!(note);

const server = createServer((socket) => {
  socket.on("error", () => {});
  readLine(socket, (containerId) => {
    let agent = agents.get(containerId);
    if (agent === undefined) {
      agent = new EmittingAgent(JSON.parse(options) as EmittingAgentOptions);
      agents.set(containerId, agent);
    }
    agent.serve(socket);
  });
});
server.listen(socketPath, () => say({ case: "ready" }));
let cost: ReturnType<typeof measureCost> | undefined;
process.on("message", (order: AgentsOrder) => {
  if (order === "measure") cost = measureCost();
  else say({ case: "cost", cost: cost!.take() });
});
process.on("disconnect", () => process.exit());
