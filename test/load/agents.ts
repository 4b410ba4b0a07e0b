import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AgentsNote, AgentsOrder } from "./agents-process.ts";
import { Child } from "./child.ts";
import type { EmittingAgentOptions } from "./emitting-agent.ts";
import { type Cost, sumCosts } from "./process-cost.ts";

/** The processes that agents run in. */
export interface Agents extends AsyncDisposable {
  socketPaths: string[];
  pids: number[];
  /** Begins to measure what they cost; `measured` ends that. */
  measure(): void;
  measured(): Promise<Cost>;
}

/** Starts as many processes for agents that are all alike. */
export async function startAgents(
  count: number,
  options: Pick<EmittingAgentOptions, "eventsPerSecond" | "eventCount" | "waits">,
): Promise<Agents> {
  await using stack = new AsyncDisposableStack();
  // Not below TMPDIR, which may have too long a path for a socket.
  const directory = mkdtempSync("/tmp/cc-agents-");
  stack.defer(() => rmSync(directory, { recursive: true }));
  const socketPaths = Array.from({ length: count }, (_, index) => join(directory, `${index}.sock`));
  const children = socketPaths.map((path) =>
    stack.use(new Child<AgentsOrder, AgentsNote>("./agents-process.ts", [path, JSON.stringify(options)])),
  );
  await Promise.all(children.map((child) => child.note()));
  const owned = stack.move();
  return {
    socketPaths,
    pids: children.map(({ pid }) => pid),
    measure: () => children.forEach((child) => child.send("measure")),
    async measured() {
      const notes = children.map(async (child) => {
        const note = child.note();
        child.send("measured");
        return await note;
      });
      return sumCosts((await Promise.all(notes)).flatMap((note) => (note.case === "cost" ? [note.cost] : [])));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
