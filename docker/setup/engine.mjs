import { existsSync } from "node:fs";
import { connect } from "node:net";
import { aptInstall, canInstall, onPath } from "./apt.mjs";
import { startEngine, waitForEngine } from "./engine-start.mjs";
import { ask } from "./run.mjs";
import { SetupError } from "./say.mjs";

const DEFAULT_SOCKET = "unix:///var/run/docker.sock";
const DEFAULT_SOCKETS = [DEFAULT_SOCKET, "unix:///run/docker.sock"];

/**
 * Makes sure that `docker` reaches an engine. Takes the one that is configured (DOCKER_HOST, context); where the default
 * one is missing or not running, installs and starts it if this process is root on Linux. Exit code 3 says what to do.
 */
export async function engine() {
  if (await answers()) return;
  if (!onPath("docker")) await installClient();
  if (await answers()) return;
  const endpoint = await configuredEndpoint();
  const state = await socketState(endpoint);
  if (state === "forbidden") throw forbidden(endpoint);
  // Somebody listens: an engine that is still starting.
  if (state === "open") return waitForEngine(answers, { log: endpoint });
  if (!DEFAULT_SOCKETS.includes(endpoint) || process.platform !== "linux") throw unreachable(endpoint);
  await installEngine();
  if (!(await answers())) await startEngine(answers);
}

/** Makes sure that `docker` reaches an engine, and installs and starts nothing. */
export async function reachEngine() {
  if (await answers()) return;
  throw onPath("docker") ? unreachable(await configuredEndpoint()) : needed('The program "docker" is missing.');
}

async function answers() {
  return (await ask("docker", ["version", "--format", "{{.Server.Version}}"], { timeoutMs: 15_000 })).code === 0;
}

async function configuredEndpoint() {
  const { code, stdout } = await ask("docker", ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]);
  return code === 0 && stdout ? stdout : (process.env.DOCKER_HOST ?? DEFAULT_SOCKET);
}

/**
 * Tells "may not" from "nobody there" by connecting, since the client's texts change from version to version.
 * @param {string} endpoint
 * @returns {Promise<"remote" | "forbidden" | "absent" | "open">}
 */
function socketState(endpoint) {
  if (!endpoint.startsWith("unix://")) return Promise.resolve("remote");
  return new Promise((resolve) => {
    const socket = connect(endpoint.slice("unix://".length));
    socket.once("error", (/** @type {NodeJS.ErrnoException} */ error) =>
      resolve(error.code === "EACCES" ? "forbidden" : "absent"),
    );
    socket.once("connect", () => {
      socket.destroy();
      resolve("open");
    });
  });
}

async function installClient() {
  await installEngine();
  // Newer Debian and Ubuntu releases package the client by itself.
  if (!onPath("docker")) await aptInstall(["docker-cli"]);
}

async function installEngine() {
  if (onPath("dockerd") && onPath("docker")) return;
  if (!canInstall()) throw needed("Docker is missing.");
  await aptInstall(["docker.io"]);
}

/** @param {string} message */
function needed(message) {
  const hint =
    process.platform === "darwin"
      ? "Install Docker Desktop (or colima), start it, and try again."
      : "Install Docker Engine (on Debian and Ubuntu, as root: apt-get install docker.io), start it, and try again; or run this as root.";
  return new SetupError(message, { hint, exitCode: 3 });
}

/** @param {string} endpoint */
function forbidden(endpoint) {
  return new SetupError(`Docker is running, but this user may not use ${endpoint}.`, {
    hint: "Add the user to the docker group (as root: usermod -aG docker USER, then log in again), or run this as root.",
    exitCode: 3,
  });
}

/** @param {string} endpoint */
function unreachable(endpoint) {
  const desktop = process.platform === "darwin" || existsSync("/opt/docker-desktop");
  return new SetupError(`No Docker engine answers at ${endpoint}.`, {
    hint: desktop
      ? "Start Docker Desktop and try again."
      : "That address comes from DOCKER_HOST or the docker context: start the engine there, or unset them to use the local one.",
    exitCode: 3,
  });
}
