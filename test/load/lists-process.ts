// Readers of the list of all sessions, in a process of their own: what they decode is not to hold up the watchers of a load
// run. Arguments: socket path, how many.
import { ControlClient } from "../../host/control/control-client.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";

const [socketPath = "", count = ""] = process.argv.slice(2);
process.on("disconnect", () => process.exit());

async function readList(): Promise<void> {
  const sessions = new RemoteSessions({ client: new ControlClient(socketPath) });
  for await (const _news of sessions.watchAll({ signal: new AbortController().signal }));
}

for (let index = 0; index < Number(count); index++) void readList();
