import { existsSync } from "node:fs";
import { aptInstall, canInstall, onPath } from "../../docker/setup/apt.mjs";
import { ask } from "../../docker/setup/run.mjs";
import { SetupError } from "../../docker/setup/say.mjs";

const HAS_GRPC =
  'import importlib.util as u, sys; sys.exit(not (u.find_spec("grpc") and u.find_spec("google.protobuf")))';
/** The .proto files that protoc does not bring along. */
const WELL_KNOWN_TYPES = "/usr/include/google/protobuf/timestamp.proto";

/** Makes sure of what only the tests use: git, curl, tmux, inotifywait, Debian's Python with gRPC and its generator (an independent client), and docker compose. */
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
    ...(compose ? [] : ["docker-compose"]),
  ];
}

async function hasCompose() {
  return onPath("docker-compose") || (await ask("docker", ["compose", "version"])).code === 0;
}
