import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { CLAUDE } from "../model/claude-cli.ts";
import { startCleanMachine } from "../support/clean-machine.ts";
import { docker } from "../support/docker.ts";
import { packVersion } from "../support/packed.ts";
import { startHostRig } from "../support/rig.ts";

/** Of its own, and with that an image that no other test makes or removes. */
const VERSION = "98.0.0";
const IMAGE = `claudecluster/agent:${VERSION}`;
const OLD_IMAGE = `claudecluster/agent:old-${process.pid}`;
const OLDEST_NODE = "22.13.0";
const OLD_NODE = "20.8.0";

interface Finding {
  subject: string;
  ok: boolean;
  message: string;
  help?: string;
}

test("on a machine with Node, a Docker engine and nothing else: install, doctor, demo, a session of a real Claude Code", async () => {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-clean-"));
  // npm would leave it among the temporary files.
  vi.stubEnv("NODE_DISABLE_COMPILE_CACHE", "1");
  try {
    await using rig = await startHostRig();
    const { tarball } = await packVersion(VERSION, join(directory, "package"));
    await using machine = await startCleanMachine(directory, {
      files: { "/claudecluster.tgz": tarball, "/usr/local/bin/claude": await realpath(CLAUDE) },
      env: { CLAUDECLUSTER_IMAGE: IMAGE },
    });
    const findings = async (env: Record<string, string> = {}) => {
      const { stdout } = await machine.run("claudecluster doctor --json", env);
      const found = JSON.parse(stdout) as Finding[];
      return {
        of: (name: string) => found.find(({ subject }) => subject === name)!,
        bad: found.filter(({ ok }) => !ok),
      };
    };

    await machine.must("npm install --global /claudecluster.tgz");
    expect(await machine.must("ls $(npm root --global)")).toBe("claudecluster\nnpm\n");
    expect(await machine.must("claudecluster version")).toBe(`${VERSION}\n`);
    expect((await machine.run("git --version")).code).not.toBe(0);

    await machine.must(
      `umask 077; mkdir -p ~/.config/claudecluster; echo '{"base_url":"${rig.model.url}"}' > ~/.config/claudecluster/config.json`,
    );

    // Nothing is there yet but an engine, and each thing that is missing is said with what to type.
    const before = await findings();
    expect(before.bad).toMatchObject([
      { subject: "credential", help: expect.stringContaining("claudecluster credential set") },
    ]);
    expect(before.of("image")).toMatchObject({
      message: `${IMAGE} is not there; the first session builds it, in some minutes.`,
      help: `Ahead of it: claudecluster image --tag ${IMAGE}`,
    });

    const key = { ANTHROPIC_API_KEY: rig.key };
    await machine.must("printenv ANTHROPIC_API_KEY | claudecluster credential set", key);

    // What cannot be built is said with its reason. Nothing listens there.
    await machine.must("claudecluster shutdown");
    const bad = { CLAUDECLUSTER_BASE_IMAGE: "127.0.0.1:1/nothing" };
    expect(await machine.run("claudecluster run Work. --no-repository", bad)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /image: building the tools image on 127\.0\.0\.1:1[^]*The agent's image could not be built: tools image failed.*dial tcp 127\.0\.0\.1:1.*All of it: /,
      ) as string,
    });
    await machine.must("claudecluster shutdown");

    const demo = await machine.run("claudecluster demo");
    expect(demo.stderr).toContain("image: being built, which takes the first session some minutes");
    expect(demo.stderr).toContain(`image: building the agent image ${IMAGE}`);
    expect(demo.stderr).toMatch(/^succeeded: 3 files changed/m);
    expect(demo).toMatchObject({ code: 0, stdout: expect.stringContaining("+++ b/greeting-001.txt") });

    // As the README says.
    await machine.must(
      `claude mcp add-json claudecluster '{"command":"claudecluster","args":["mcp"],"alwaysLoad":true}'`,
    );
    const call = { task: "[scenario: multi-file-change] Improve the greeter.", repository: rig.repository };
    const prompt = `[scenario: spawn-child ${JSON.stringify(call)}]`;
    const parent = { ...key, IS_SANDBOX: "1", ANTHROPIC_BASE_URL: rig.model.url, PROMPT: prompt };
    const quiet = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" };
    const answer = await machine.must(`claude -p --permission-mode bypassPermissions "$PROMPT"`, {
      ...parent,
      ...quiet,
    });
    expect(answer).toMatch(/ses_[0-9A-Z]{26}/);
    expect(answer).toContain("+++ b/src/languages.js");
    const after = await findings();
    expect(after.bad).toEqual([]);
    expect(after.of("claude").message).toBe(
      `Claude Code ${manifest.devDependencies["@anthropic-ai/claude-code"]} on your PATH`,
    );

    // What the doctor says of an older image is what makes it new.
    const dockerfile = `FROM ${IMAGE}\nLABEL dev.claudecluster.agent-version=0.0.1 dev.claudecluster.inputs=old`;
    await machine.must(`echo "${dockerfile}" | docker build --quiet --tag ${OLD_IMAGE} -`);
    await machine.must("claudecluster shutdown");
    const old = { CLAUDECLUSTER_IMAGE: OLD_IMAGE };
    const { help = "" } = (await findings(old)).of("image");
    expect(help).toBe(`It is of version 0.0.1. Build it anew: claudecluster image --tag ${OLD_IMAGE}`);
    await machine.must(help.slice(help.indexOf("claudecluster image")), old);
    expect((await findings(old)).of("image")).not.toHaveProperty("help");
    await machine.must("claudecluster shutdown");

    // The oldest Node that will do does.
    const node = (version: string) =>
      `npm install --prefix /node-${version} --ignore-scripts node-linux-$(node -p process.arch)@${version}`;
    const on = (version: string) =>
      `/node-${version}/node_modules/node-linux-*/bin/node $(readlink -f /usr/local/bin/claudecluster)`;
    await machine.must(node(OLDEST_NODE));
    await machine.must(`${on(OLDEST_NODE)} run --no-repository "[scenario: small-edit] Oldest."`);
    expect(await machine.must(`${on(OLDEST_NODE)} doctor`)).toContain(`Node ${OLDEST_NODE}`);
    await machine.must(`${on(OLDEST_NODE)} backup /root/backup.tar`);
    const restored = await machine.must(`${on(OLDEST_NODE)} restore --replace --shutdown /root/backup.tar`);
    expect(restored).toContain("Restored ");
    await machine.must("claudecluster shutdown");

    // An older Node looks for a newer one, and says what is missing where there is none.
    await machine.must(node(OLD_NODE));
    const older = `${on(OLD_NODE)} version`;
    expect(await machine.must(older)).toBe(`${VERSION}\n`);
    await machine.must("mv /usr/local/bin/node /root/node");
    expect(await machine.run(older)).toMatchObject({
      code: 3,
      stderr: `claudecluster needs Node 22.13 or later; this is ${OLD_NODE}.\nInstall a newer Node, or name one: CLAUDECLUSTER_NODE=/path/to/node\n`,
    });
    expect(await machine.must(older, { CLAUDECLUSTER_NODE: "/root/node" })).toBe(`${VERSION}\n`);
  } finally {
    vi.unstubAllEnvs();
    for (const image of [OLD_IMAGE, IMAGE])
      if ((await docker("image", "ls", "-q", image)) !== "") await docker("image", "rm", image);
    await rm(directory, { recursive: true, force: true });
  }
}, 400_000);
