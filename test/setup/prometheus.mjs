import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { aptDownload, onPath } from "../../docker/setup/apt.mjs";
import { ask } from "../../docker/setup/run.mjs";
import { SetupError, say } from "../../docker/setup/say.mjs";
import { stateDirectory, withDirectory } from "../../docker/setup/state.mjs";

const directory = join(stateDirectory(), "prometheus");

/**
 * Path of a program of Prometheus's, which `prometheus` has made sure of.
 * @param {"prometheus" | "promtool"} program
 */
export function prometheusProgram(program) {
  const own = join(directory, "usr/bin", program);
  return existsSync(own) ? own : program;
}

/**
 * Makes sure of Prometheus and promtool, for the tests only: Debian's package, unpacked and not installed, since that would begin
 * to run a service.
 */
export async function prometheus() {
  if (["prometheus", "promtool"].every((program) => onPath(program) || existsSync(join(directory, "usr/bin", program))))
    return;
  if (!onPath("apt-get")) {
    throw new SetupError("Programs that the tests use are missing.", {
      hint: "Install prometheus, with promtool.",
      exitCode: 3,
    });
  }
  say("fetching Debian's prometheus, for the tests only");
  await withDirectory("prometheus-download", async (download) => {
    const [packages, unpacked] = [join(download, "packages"), join(download, "root")];
    mkdirSync(packages);
    await aptDownload(["prometheus"], packages);
    for (const name of readdirSync(packages)) {
      const { code, stderr } = await ask("dpkg-deb", ["--extract", join(packages, name), unpacked]);
      if (code !== 0) throw new SetupError(`dpkg-deb failed: ${stderr}`);
    }
    rmSync(directory, { recursive: true, force: true });
    renameSync(unpacked, directory);
  });
}
