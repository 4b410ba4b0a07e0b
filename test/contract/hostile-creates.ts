import type { ContainerCreateOptions } from "dockerode";

type Body = ContainerCreateOptions & { HostConfig: Record<string, unknown> };
/** What a hostile host asks for, made from what an honest one does. */
export type HostileCreate = [what: string, change: (body: Body) => unknown];

const host = (config: Record<string, unknown>) => (body: Body) => ({
  ...body,
  HostConfig: { ...body.HostConfig, ...config },
});
const top = (config: Record<string, unknown>) => (body: Body) => ({ ...body, ...config });
const without = (key: string) => (body: Body) => {
  const { [key]: _, ...HostConfig } = body.HostConfig;
  return { ...body, HostConfig };
};
const tmpfs = (paths: Record<string, string>) => (body: Body) =>
  host({ Tmpfs: { ...(body.HostConfig["Tmpfs"] as object), ...paths } })(body);
const labels = (more: Record<string, string | undefined>) => (body: Body) =>
  top({ Labels: { ...body.Labels, ...more } })(body);
const env =
  (...more: string[]) =>
  (body: Body) =>
    top({ Env: [...(body.Env ?? []), ...more] })(body);
const security = (...options: string[]) => host({ SecurityOpt: options });
const bindMount = { Type: "bind", Source: "/", Target: "/host" };
const deviceVolume = {
  Type: "volume",
  Target: "/host",
  VolumeOptions: { DriverConfig: { Name: "local", Options: { type: "none", o: "bind", device: "/" } } },
};

/** Ways out of a container by its configuration, which an engine takes at the create (some then fail at the start). */
export const ESCAPES: HostileCreate[] = [
  ["the machine's root as a bind", host({ Binds: ["/:/host"] })],
  ["the machine's root as a mount", host({ Mounts: [bindMount] })],
  ["the machine's root as a volume's device", host({ Mounts: [deviceVolume] })],
  ["the engine's socket as a bind", host({ Binds: ["/var/run/docker.sock:/var/run/docker.sock"] })],
  ["privileges", host({ Privileged: true })],
  ["the machine's processes", host({ PidMode: "host" })],
  ["the machine's network", host({ NetworkMode: "host" })],
  ["the machine's IPC", host({ IpcMode: "host" })],
  // An engine refuses it where there is another name as well.
  ["the machine's host name", (body) => top({ Hostname: "" })(host({ UTSMode: "host" })(body))],
  ["the machine's users", host({ UsernsMode: "host" })],
  ["the machine's cgroups", host({ CgroupnsMode: "host" })],
  ["CAP_SYS_ADMIN", host({ CapAdd: ["SETUID", "SETGID", "KILL", "SYS_ADMIN"] })],
  ["all capabilities", host({ CapAdd: ["ALL"] })],
  ["the default capabilities", host({ CapDrop: [] })],
  [
    "the machine's disk",
    host({ Devices: [{ PathOnHost: "/dev/vda", PathInContainer: "/dev/vda", CgroupPermissions: "rwm" }] }),
  ],
  ["the right to every device", host({ DeviceCgroupRules: ["a *:* rwm"] })],
  ["system calls without a filter", security("no-new-privileges", "seccomp=unconfined")],
  ["system calls with the engine's own filter", security("no-new-privileges")],
  [
    "a filter of system calls that allows all",
    security("no-new-privileges", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'),
  ],
  ["the kernel's files unmasked", host({ MaskedPaths: [], ReadonlyPaths: [] })],
  ["another parent among the cgroups", host({ CgroupParent: "/" })],
  ["a network", host({ NetworkMode: "bridge" })],
  ["a published port", host({ PortBindings: { "80/tcp": [{ HostPort: "0" }] } })],
  [
    "a log that goes elsewhere",
    host({ LogConfig: { Type: "syslog", Config: { "syslog-address": "udp://127.0.0.1:9" } } }),
  ],
  ["a log without bounds", host({ LogConfig: { Type: "json-file", Config: {} } })],
  ["a root that can be written", host({ ReadonlyRootfs: false })],
  ["memory without bounds", host({ Memory: 0, MemorySwap: 0 })],
  ["swap without bounds", host({ MemorySwap: -1 })],
  ["processes without bounds", host({ PidsLimit: -1 })],
  ["CPU without bounds", without("NanoCpus")],
  ["a score that lets the machine's programs die first", host({ OomScoreAdj: -1000 })],
  ["core dumps", host({ Ulimits: [{ Name: "core", Soft: -1, Hard: -1 }] })],
  ["shared memory without bounds", host({ ShmSize: 2 ** 40 })],
  ["a restart with the machine", host({ RestartPolicy: { Name: "always" } })],
  ["no init", host({ Init: false })],
  ["settings of the kernel", host({ Sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" } })],
  ["further groups", host({ GroupAdd: ["0"] })],
  ["names of its own", host({ ExtraHosts: ["api.anthropic.com:127.0.0.1"] })],
  ["another program", top({ Entrypoint: ["/bin/sh"], Cmd: ["-c", "id"] })],
  ["a program that the engine runs again and again", top({ Healthcheck: { Test: ["CMD", "id"] } })],
  ["another user", top({ User: "1000" })],
  ["a volume", top({ Volumes: { "/data": {} } })],
  ["another working directory", top({ WorkingDir: "/proc" })],
  ["a terminal", top({ Tty: true, OpenStdin: true })],
  ["another signal to end it", top({ StopSignal: "SIGCONT" })],
  ["a tmpfs of its own", tmpfs({ "/etc": "rw,exec" })],
  ["a tmpfs with devices", tmpfs({ "/tmp": "rw,exec,dev,suid" })],
  ["a tmpfs without bounds", tmpfs({ "/workspace": "rw,exec,nosuid,nodev" })],
  ["the label of another program", labels({ "com.docker.compose.project": "other" })],
  ["no label of its own id", labels({ "dev.claudecluster.container": undefined })],
  ["the uid of nobody's session", labels({ "dev.claudecluster.uid": "0" })],
  ["the uid of another container's session", labels({ "dev.claudecluster.uid": "20001" })],
  ["the filter's own label", labels({ "dev.claudecluster.filter": "mine" })],
  ["a variable taken from nowhere", env("PATH")],
  ["a program that Node runs first", env("NODE_OPTIONS=--import=data:text/javascript,globalThis.x=1")],
  ["another directory of programs", env("PATH=/workspace")],
  ["another program for the agent to start", env("CLAUDECLUSTER_CLAUDE_COMMAND=/workspace/claude")],
  ["a setting of the agent, harmless as it may be", env("CLAUDECLUSTER_LOG_LEVEL=debug")],
  ["the same variable twice", env("TWICE=1", "TWICE=2")],
  ["variables without end", env(...Array.from({ length: 65 }, (_, index) => `V${index}=1`))],
  // Go reads names in any case, also with letters that only become the same one when folded.
  ["a bind by another name: binds", host({ binds: ["/:/host"] })],
  ["a bind by another name: BINDS", host({ BINDS: ["/:/host"] })],
  ["a bind by another name: Bind\u017f", host({ "Bind\u017f": ["/:/host"] })],
  ["privileges by another name: privileged", host({ privileged: true })],
  ["a second HostConfig: hostconfig", top({ hostconfig: { Privileged: true } })],
  ["a second HostConfig: Ho\u017ftConfig", top({ "Ho\u017ftConfig": { Privileged: true } })],
  ["a second user: user", top({ user: "1000" })],
  ["a second network: networkmode", host({ networkmode: "host" })],
];

/** Bodies that no engine should see, whatever it would make of them. */
export const MALFORMED: HostileCreate[] = [
  ["a host configuration that is a list", top({ HostConfig: [] })],
  ["no host configuration", top({ HostConfig: null })],
  ["a prototype", (body) => JSON.stringify(body).replace(/^\{/, '{"__proto__":{"Privileged":true},')],
  [
    "a prototype's host configuration",
    (body) => JSON.stringify(body).replace('"HostConfig":{', '"HostConfig":{"__proto__":{},'),
  ],
  ["a key of every object", top({ toString: "x" })],
  ["text behind it", (body) => `${JSON.stringify(body)}{"HostConfig":{"Privileged":true}}`],
  ["a mark before it", (body) => `\ufeff${JSON.stringify(body)}`],
  ["a list", (body) => [body]],
  ["nothing", () => undefined],
  ["null", () => "null"],
  ["a number", () => "1"],
  ["no JSON", () => "{'Image':1}"],
  ["depth without end", () => `${"[".repeat(30_000)}${"]".repeat(30_000)}`],
  ["memory as text", host({ Memory: "134217728" })],
  ["memory beyond counting", (body) => JSON.stringify(body).replace(/"Memory":\d+/, '"Memory":1e400')],
  ["half a byte of memory", host({ Memory: 2 ** 27 + 0.5 })],
  ["memory below what anything needs", host({ Memory: 2 ** 20, MemorySwap: 2 ** 20 })],
  ["more memory than any machine has", host({ Memory: 2 ** 50, MemorySwap: 2 ** 50 })],
  ["more CPUs than any machine has", host({ NanoCpus: 1e18 })],
  ["no CPU", host({ NanoCpus: 0 })],
  ["no processes limit", without("PidsLimit")],
  [
    "a workspace beyond the memory",
    tmpfs({ "/workspace": "rw,exec,nosuid,nodev,size=99999999k,nr_inodes=1,mode=755" }),
  ],
  [
    "an option hidden in the workspace's",
    tmpfs({ "/workspace": "rw,exec,suid,dev,size=65536k,nr_inodes=32768,mode=755" }),
  ],
  ["an id with a path's name", labels({ "dev.claudecluster.container": "../x" })],
  ["a variable with a zero byte", env("A=\0")],
  ["a variable of another language", env("lower=1")],
];
