import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("the image is built only where the agent runs as it will be started", () => {
  const dockerfile = readFileSync(new URL("../docker/agent.Dockerfile", import.meta.url), "utf8").replaceAll(
    /\\\n\s*/g,
    "",
  );
  const started = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)![1]!) as string[];
  expect(dockerfile).toContain(` /tmp/try-agent.mjs /run/agent/agent.sock ${started.join(" ")} && `);
});
