import { existsSync } from "node:fs";
import { aptInstall, canInstall, onPath } from "../../docker/setup/apt.mjs";
import { ask } from "../../docker/setup/run.mjs";
import { SetupError } from "../../docker/setup/say.mjs";

const HAS_GRPC =
  'import importlib.util as u, sys; sys.exit(not (u.find_spec("grpc") and u.find_spec("google.protobuf")))';
/** The .proto files that protoc does not bring along. */
const WELL_KNOWN_TYPES = "/usr/include/google/protobuf/timestamp.proto";

/** Debian's program without the shell script around it, and where others have theirs. */
const CHROMIUM = [
  "/usr/lib/chromium/chromium",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

/** Path of the browser that the tests drive. Throws where `node docker/setup.mjs --test` has not run. */
export function chromiumPath() {
  const path = CHROMIUM.find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error("Chromium is missing: run node docker/setup.mjs --test");
  return path;
}

/** Makes sure of what only the tests use: git, curl, tmux, inotifywait, Debian's Python with gRPC and its generator (an independent client), a browser, and docker compose. */
export async function testTools() {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  if (!canInstall()) {
    const hint = `Install (Debian's package names): ${missing.join(" ")}. Python means /usr/bin/python3.`;
    throw new SetupError("Programs that the tests use are missing.", { hint, exitCode: 3 });
  }
  await aptInstall(missing);
}

async function missingPackages() {
  const [python, compose] = await Promise.all([ask("/usr/bin/python3", ["-c", HAS_GRPC]), hasCompose()]);
  return [
    ...["git", "curl", "openssl", "tmux"].filter((program) => !onPath(program)),
    // The agent's file watcher, which the image has.
    ...(onPath("inotifywait") ? [] : ["inotify-tools"]),
    ...(python.code === 0 ? [] : ["python3-grpcio", "python3-protobuf"]),
    ...(onPath("protoc") && onPath("grpc_python_plugin") ? [] : ["protobuf-compiler", "protobuf-compiler-grpc"]),
    ...(existsSync(WELL_KNOWN_TYPES) ? [] : ["libprotobuf-dev"]),
    ...(CHROMIUM.some((path) => existsSync(path)) ? [] : ["chromium"]),
    ...(compose ? [] : ["docker-compose"]),
  ];
}

async function hasCompose() {
  return onPath("docker-compose") || (await ask("docker", ["compose", "version"])).code === 0;
}
