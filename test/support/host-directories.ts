import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { HostLink } from "../../host/daemon/host-link.ts";
import type { HostDirectories } from "../../host/directories.ts";
import type { Sessions } from "../../host/session/sessions.ts";
import { storesDirectory } from "../../host/snapshots/snapshot-stores.ts";
import { isFinal } from "../../proto/index.ts";
import { markedHostId } from "./run-mark.ts";
import { eachEvent } from "./each-event.ts";

/** Directories of one host's own, with everything that they need to be used. */
export interface TestDirectories extends AsyncDisposable {
  directories: HostDirectories;
  /** Holds them; no repository. */
  root: string;
  /** The variables that name them. */
  env: Record<string, string>;
  /**
   * Writes config.json, and gives the host an id of this run. The image is that of CLAUDECLUSTER_IMAGE, and no container is
   * prepared, unless it says otherwise.
   */
  configure(config: object): Promise<void>;
}

/** Makes directories for a host. Disposing of them ends the host that uses them with its sessions, and removes them. */
export async function makeHostDirectories(): Promise<TestDirectories> {
  const root = await mkdtemp(join(tmpdir(), "claudecluster-host-"));
  const directories = {
    configDirectory: join(root, "config"),
    stateDirectory: join(root, "state"),
    runtimeDirectory: join(root, "run"),
  };
  await mkdir(directories.configDirectory, { mode: 0o700 });
  const engine = process.env["DOCKER_HOST"];
  return {
    directories,
    root,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: process.env["HOME"] ?? "",
      ...(engine !== undefined && { DOCKER_HOST: engine }),
      CLAUDECLUSTER_CONFIG_DIR: directories.configDirectory,
      CLAUDECLUSTER_STATE_DIR: directories.stateDirectory,
      CLAUDECLUSTER_RUNTIME_DIR: directories.runtimeDirectory,
    },
    async configure(config) {
      const image = process.env["CLAUDECLUSTER_IMAGE"];
      // Whoever counts containers counts those of its sessions alone.
      const whole = { ...(image !== undefined && { image }), warm: 0, ...config };
      await writeFile(join(directories.configDirectory, "config.json"), JSON.stringify(whole), { mode: 0o600 });
      await mkdir(directories.stateDirectory, { recursive: true, mode: 0o700 });
      // Kept if there is one.
      await writeFile(join(directories.stateDirectory, "host-id"), markedHostId(), { mode: 0o600, flag: "wx" }).catch(
        () => {},
      );
    },
    async [Symbol.asyncDispose]() {
      using link = new HostLink({ directories, env: {} });
      if ((await link.find()) !== undefined) {
        await endSessions(link.sessions);
        await link.stopHost({ onlyWithoutLiveSessions: false });
      }
      await link.gone();
      await removeSupplies(directories.stateDirectory);
      await rm(root, { recursive: true });
    },
  };
}

/** What its host keeps on the engine for the next session; no other host would remove it soon. */
async function removeSupplies(stateDirectory: string): Promise<void> {
  const stores = storesDirectory(stateDirectory);
  const names = await readdir(stores, { recursive: true }).catch(() => []);
  const records = names.filter((name) => /^[^/]+\/supplies\/[0-9a-f]+$/.test(name));
  const read = records.map(async (name) => JSON.parse(await readFile(join(stores, name), "utf8")) as { name: string });
  const supplies = (await Promise.all(read)).flatMap(({ name }) => (name === "" ? [] : [name]));
  if (supplies.length > 0) await promisify(execFile)("docker", ["volume", "rm", "--force", ...supplies]);
}

/** They would outlive their host. */
async function endSessions(sessions: Sessions): Promise<void> {
  const { sessions: all } = await sessions.list({ pageSize: 1000 });
  await Promise.all(
    all
      .filter(({ state }) => !isFinal(state))
      .map(async ({ id, lastSequence }) => {
        await sessions.stop(id, { reason: "The test is over." });
        const signal = AbortSignal.timeout(60_000);
        for await (const event of eachEvent(sessions.watch(id, { afterSequence: lastSequence, signal }))) {
          if (event.event.case === "sessionFinished") return;
        }
      }),
  );
}
