import type { ServerContext } from "@modelcontextprotocol/server";
import { afterEach, expect, test, vi } from "vitest";
import { ProgressReporter } from "./progress-reporter.ts";

afterEach(() => void vi.useRealTimers());

function start() {
  vi.useFakeTimers();
  const sent: string[] = [];
  const notify = ({ params }: { params: { message: string } }) => {
    sent.push(params.message);
    return Promise.resolve();
  };
  const mcpReq = { _meta: { progressToken: 1 }, signal: new AbortController().signal, notify };
  return { sent, reporter: ProgressReporter.start({ mcpReq } as unknown as ServerContext) };
}

test("repeats the last line with its age while nothing happens, and is silent once it has ended", () => {
  const { sent, reporter } = start();
  reporter.report("edits a.ts", { force: true });
  vi.advanceTimersByTime(30_000);
  reporter[Symbol.dispose]();
  vi.advanceTimersByTime(60_000);
  expect(sent).toEqual(["edits a.ts", "edits a.ts (15s ago)", "edits a.ts (30s ago)"]);
});

test("drops a line that follows another one closely unless it is forced, and still repeats it", () => {
  const { sent, reporter } = start();
  reporter.report("one", { force: false });
  reporter.report("two", { force: false });
  expect(sent).toEqual(["one"]);
  reporter.report("three", { force: true });
  reporter.report("four", { force: false });
  vi.advanceTimersByTime(15_000);
  reporter[Symbol.dispose]();
  expect(sent).toEqual(["one", "three", "four (15s ago)"]);
});
