import { DockerRuntime, type DockerRuntimeOptions } from "../../host/runtime/docker/docker-runtime.ts";
import type { ContainerRef, ContainerShape, Runtime } from "../../host/runtime/runtime.ts";
import { markedHostId } from "../support/run-mark.ts";
import { type ContractImages, docker } from "./contract-image.ts";
import { enginePath } from "./engine-path.ts";
import { EngineProxy } from "./engine-proxy.ts";
import type { Hold, ShapeOptions, RuntimeHarness } from "./runtime-harness.ts";

const MIB = 2 ** 20;
const CREATE = /^POST \/containers\/create/;

/** Runtimes on the real engine, reached through a proxy that can be slow or break. */
export class DockerHarness implements RuntimeHarness {
  static readonly missingImage = "claudecluster-contract/none-such:latest";
  readonly missingImage = DockerHarness.missingImage;
  readonly proxy: EngineProxy;
  readonly #images: ContractImages;
  readonly #hostId = markedHostId();
  readonly #runtimes: Runtime[] = [];
  readonly #foreign: string[] = [];

  private constructor(proxy: EngineProxy, images: ContractImages) {
    this.proxy = proxy;
    this.#images = images;
  }

  /** With `engine`, the path of a socket, the runtimes reach the engine through what listens there. */
  static async open(images: ContractImages, engine = enginePath()): Promise<DockerHarness> {
    return new DockerHarness(await EngineProxy.open(engine), images);
  }

  openRuntime({ otherHost = false, ...options }: { otherHost?: boolean } & DockerRuntimeOptions = {}): DockerRuntime {
    const runtime = new DockerRuntime({
      hostId: otherHost ? `${this.#hostId}-other` : this.#hostId,
      address: { kind: "socket", path: this.proxy.path },
      ...options,
    });
    this.#runtimes.push(runtime);
    return runtime;
  }

  shape({ agent = "agent", ...overrides }: ShapeOptions = {}): ContainerShape {
    return {
      image: this.#images[agent],
      memoryBytes: 128 * MIB,
      cpuCount: 1,
      workspaceSizeBytes: 64 * MIB,
      ...overrides,
    };
  }

  shapeThatFails(): ContainerShape {
    // The engine takes any size; the kernel does not, at the start.
    return this.shape({ workspaceSizeBytes: Number.NaN });
  }

  async countContainers(): Promise<number> {
    const [own, other] = await Promise.all([this.#ids(this.#hostId), this.#ids(`${this.#hostId}-other`)]);
    return own.length + other.length;
  }

  async addForeignContainers(): Promise<readonly string[]> {
    const label = (name: string, value: string) => ["--label", `dev.claudecluster.${name}=${value}`];
    for (const labels of [
      [],
      ["--label", "com.example.session=1"],
      [...label("host", "elsewhere"), ...label("container", "c"), ...label("uid", "20000")],
      label("host", this.#hostId),
      [...label("host", this.#hostId), ...label("version", "1"), ...label("uid", "root")],
    ]) {
      this.#foreign.push(await docker("create", "--network", "none", ...labels, this.#images.agent));
    }
    return this.#foreign;
  }

  async countForeignContainers(): Promise<number> {
    const ids = await docker("ps", "--all", "--quiet", "--no-trunc");
    return this.#foreign.filter((id) => ids.includes(id)).length;
  }

  holdCreates(): Hold {
    return this.proxy.hold("reply", CREATE);
  }

  loseCreateReply(): void {
    this.proxy.loseReply(CREATE);
  }

  async exitAgent({ id }: ContainerRef, exitCode: number): Promise<void> {
    const script = `until [ -p /run/agent/control ]; do sleep 0.02; done; echo ${exitCode} > /run/agent/control`;
    // The command may die with its container.
    await docker("exec", id, "/bin/sh", "-c", script).catch(() => {});
  }

  async kill({ id }: ContainerRef): Promise<void> {
    await docker("kill", id);
  }

  async exhaustMemory({ id }: ContainerRef): Promise<void> {
    // tail keeps a line until it ends, and this one does not.
    const bomb = "head -c 1G /dev/zero | tail";
    if (
      await docker("exec", id, "/bin/sh", "-c", bomb).then(
        () => true,
        () => false,
      )
    )
      throw new Error("it had room");
  }

  async removeBehindBack({ id }: ContainerRef): Promise<void> {
    // 409: somebody else is removing it.
    await docker("rm", "--force", "--volumes", id).catch(() => {});
  }

  async pause({ id }: ContainerRef): Promise<void> {
    await docker("pause", id);
  }

  async resume({ id }: ContainerRef): Promise<void> {
    await docker("unpause", id);
  }

  cutConnections(): void {
    this.proxy.cut(/^POST \/exec\/.*\/start/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#runtimes.map((runtime) => runtime[Symbol.asyncDispose]()));
    await this.proxy[Symbol.asyncDispose]();
    const left = await Promise.all([this.#ids(this.#hostId), this.#ids(`${this.#hostId}-other`)]);
    const ids = [...new Set([...left.flat(), ...this.#foreign])];
    if (ids.length > 0) await docker("rm", "--force", "--volumes", ...ids);
  }

  /** Containers that a runtime of this host has made; the foreign ones that look alike do not count. */
  async #ids(hostId: string): Promise<string[]> {
    const ids = await docker(
      "ps",
      "--all",
      "--quiet",
      "--no-trunc",
      "--filter",
      `label=dev.claudecluster.host=${hostId}`,
    );
    return ids.split("\n").filter((id) => id !== "" && !this.#foreign.includes(id));
  }
}
