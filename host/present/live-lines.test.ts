import { expect, test } from "vitest";
import { Screen } from "../../test/support/screen.ts";
import { LiveLines } from "./live-lines.ts";

test("redraws its lines in place, lets others scroll by above them, and leaves the last ones", () => {
  const screen = new Screen();
  let lines = ["one 1", "two 1"];
  {
    using live = LiveLines.start(screen, () => lines, { intervalMs: 1_000_000 });
    lines = ["one 2", "two 1"];
    live.draw();
    live.print("something happened");
    lines = ["one 3"];
    live.print("and more");
    lines = ["one done", "two done"];
  }
  expect(screen.lines).toEqual(["something happened", "and more", "one done", "two done", ""]);
  // A long line must not become two: the next redraw would miss one.
  expect(screen.raw).toContain("\x1b[?7l");
  expect(screen.raw.lastIndexOf("\x1b[?7h")).toBeGreaterThan(screen.raw.lastIndexOf("\x1b[?7l"));
});
