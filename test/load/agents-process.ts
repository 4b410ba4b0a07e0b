// The agents of a load run, in a process of their own so that what they cost is not the host's. Each connection
// begins with a line that names its container. Arguments: socket path, events per second, events of a session.
import { createServer } from "node:net";
import { EmittingAgent } from "./emitting-agent.ts";
import { readLine } from "./read-line.ts";

const [socketPath = "", eventsPerSecond = "", eventCount = ""] = process.argv.slice(2);
const agents = new Map<string, EmittingAgent>();

const server = createServer((socket) => {
  socket.on("error", () => {});
  readLine(socket, (containerId) => {
    let agent = agents.get(containerId);
    if (agent === undefined) {
      agent = new EmittingAgent({ eventsPerSecond: Number(eventsPerSecond), eventCount: Number(eventCount) });
      agents.set(containerId, agent);
    }
    agent.serve(socket);
  });
});
server.listen(socketPath, () => process.send!("ready"));
process.on("disconnect", () => process.exit());
