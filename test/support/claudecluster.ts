import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { CLAUDECLUSTER } from "./mcp-client.ts";

/** `claudecluster dial` on a running session: the path of the socket that it offers. */
export interface Dial extends AsyncDisposable {
  socket: string;
}

/** Starts `claudecluster dial` and waits for its socket. */
export async function startDial(sessionId: string, stateDirectory: string): Promise<Dial> {
  const env = { PATH: process.env["PATH"], HOME: process.env["HOME"], CLAUDECLUSTER_STATE_DIR: stateDirectory };
  const child: ChildProcess = spawn(process.execPath, [CLAUDECLUSTER, "dial", sessionId], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const [socket] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
  return {
    socket,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill("SIGTERM");
      await closed;
    },
  };
}
