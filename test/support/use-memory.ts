import { existsSync } from "node:fs";
import { memoryOf } from "./suite-memory.ts";

const memory = memoryOf(process.env["CLAUDECLUSTER_SUITE_DIRECTORY"]!);
if (existsSync(memory)) process.env["TMPDIR"] = memory;
