import { test } from "vitest";
import { writeFileSync } from "node:fs";
import { asClaude, WorkArea } from "./fixtures/work-area.ts";
import * as g from "../process/run.ts";
test("profile", async () => {
  await using area = new WorkArea();
  area.source("a", (d, git) => { for (let i=0;i<30;i++) writeFileSync(d + "/x.txt"+i, "one\n"); git("add", "-A"); git("commit", "-qm", "first"); });
  const t0 = performance.now();
  const ws = await area.open(await area.spec("a"));
  console.log("open", performance.now() - t0);
  const signal = AbortSignal.timeout(60000);
  for (let i = 0; i < 5; i++) {
    let t = performance.now(); await ws.scan({ signal }); const a = performance.now() - t;
    asClaude(ws.workTree, `echo ${i} >> x.txt1; echo ${i} > n${i}`);
    t = performance.now(); await ws.scan({ signal }); const b = performance.now() - t;
    t = performance.now(); await ws.collect({ signal }); const c = performance.now() - t;
    console.log("idle", a, "changed", b, "collect", c);
  }
  let t = performance.now(); for (let i=0;i<50;i++) await g.run("git", ["--version"], { env: { PATH: process.env.PATH! }, signal }); console.log("run git", (performance.now()-t)/50);
  t = performance.now(); for (let i=0;i<50;i++) await g.run("git", ["--version"], { env: { PATH: process.env.PATH! }, signal, umask: "022", identity: {uid: 25005, gid: 25005} }); console.log("run git through sh as other", (performance.now()-t)/50);
});
