import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { WorkArea } from "./work-area.ts";

/** Makes the source "repo", whose branch "upstream" is ahead of main. */
export function addSourceWithUpstream(area: WorkArea): ReturnType<WorkArea["source"]> {
  return area.source("repo", (directory, git) => {
    mkdirSync(join(directory, "src"));
    writeFileSync(join(directory, ".gitignore"), "*.log\n");
    writeFileSync(join(directory, "README.md"), "start\n");
    writeFileSync(join(directory, "src/a.txt"), "a\n");
    git("add", "-A");
    git("commit", "-qm", "start");
    git("checkout", "-qb", "upstream");
    writeFileSync(join(directory, "up.txt"), "up\n");
    git("add", "-A");
    git("commit", "-qm", "upstream's");
    git("checkout", "-q", "main");
  });
}
