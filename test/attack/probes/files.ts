import { execFileSync } from "node:child_process";
import {
  accessSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import type { Probe } from "./probe.ts";

const can = (use: () => unknown) => () => {
  use();
  return true;
};
const reads = (path: string) => can(() => readFileSync(path));
const lists = (path: string) => can(() => readdirSync(path));
const writes = (path: string) =>
  can(() => {
    closeSync(openSync(path, "a"));
  });
const makes = (path: string) => can(() => writeFileSync(path, "x", { flag: "wx" }));

/** The image, the kernel's files and the devices. */
export const FILE_PROBES: readonly Probe[] = [
  { name: "make /x", proves: "the root is read-only", attempt: makes("/x") },
  { name: "make /usr/local/bin/x", proves: "no program is put before others", attempt: makes("/usr/local/bin/x") },
  { name: "make /var/tmp/x", proves: "nothing stays in a layer", attempt: makes("/var/tmp/x") },
  { name: "make /run/x", proves: "no place beside the agent's", attempt: makes("/run/x") },
  { name: "make /home/x", proves: "no home beside Claude's", attempt: makes("/home/x") },
  { name: "make /base/x", proves: "the start state is not Claude's to write", attempt: makes("/base/x") },
  { name: "make /run/agent/x", proves: "nothing is put into the agent's directory", attempt: makes("/run/agent/x") },
  { name: "write claude", proves: "Claude's program stays", attempt: writes("/usr/local/bin/claude") },
  { name: "write git", proves: "git stays", attempt: writes("/usr/bin/git") },
  { name: "write the agent", proves: "the agent's program stays", attempt: writes("/opt/claudecluster/agent.blob") },
  { name: "write /etc/passwd", proves: "users stay", attempt: writes("/etc/passwd") },
  { name: "write /etc/resolv.conf", proves: "names are not resolved elsewhere", attempt: writes("/etc/resolv.conf") },
  { name: "write /etc/hosts", proves: "names are not resolved elsewhere", attempt: writes("/etc/hosts") },
  { name: "read /etc/shadow", proves: "root's files are root's", attempt: reads("/etc/shadow") },
  { name: "list /root", proves: "root's files are root's", attempt: lists("/root") },
  { name: "list /run/agent", proves: "the agent's directory is its own", attempt: lists("/run/agent") },
  {
    name: "write core_pattern",
    proves: "no program of ours on the host",
    attempt: writes("/proc/sys/kernel/core_pattern"),
  },
  { name: "write sysrq-trigger", proves: "the machine stays up", attempt: writes("/proc/sysrq-trigger") },
  {
    name: "write vm settings",
    proves: "the kernel's settings stay",
    attempt: writes("/proc/sys/vm/overcommit_memory"),
  },
  {
    name: "write uevent_helper",
    proves: "no program of ours on the host",
    attempt: writes("/sys/kernel/uevent_helper"),
  },
  {
    name: "write binfmt_misc",
    proves: "no program of ours on the host",
    attempt: writes("/proc/sys/fs/binfmt_misc/register"),
  },
  {
    name: "read kcore",
    proves: "no memory of the kernel",
    attempt: can(() => closeSync(openSync("/proc/kcore", "r"))),
  },
  { name: "read kmsg", proves: "no log of the kernel", attempt: can(() => closeSync(openSync("/dev/kmsg", "r"))) },
  { name: "read /proc/keys", proves: "no keys of others", attempt: () => readFileSync("/proc/keys", "utf8") !== "" },
  {
    name: "read timer_list",
    proves: "no addresses of the kernel",
    attempt: () => readFileSync("/proc/timer_list", "utf8") !== "",
  },
  {
    name: "read kallsyms",
    proves: "no addresses of the kernel",
    attempt: () => /^0*[1-9a-f]/m.test(readFileSync("/proc/kallsyms", "utf8").slice(0, 4000)),
  },
  {
    name: "write a cgroup",
    proves: "limits stay, and no release_agent",
    attempt: () => {
      const found = execFileSync("find", ["/sys/fs/cgroup", "-type", "f", "-writable"], { encoding: "utf8" });
      return found.trim() !== "";
    },
  },
  {
    name: "open /dev/mem",
    proves: "no memory of the machine",
    attempt: can(() => closeSync(openSync("/dev/mem", "r"))),
  },
  {
    name: "open /dev/fuse",
    proves: "no file systems of one's own",
    attempt: can(() => closeSync(openSync("/dev/fuse", "r+"))),
  },
  { name: "open /dev/kvm", proves: "no virtual machines", attempt: can(() => closeSync(openSync("/dev/kvm", "r+"))) },
  {
    name: "open /dev/net/tun",
    proves: "no networks of one's own",
    attempt: can(() => closeSync(openSync("/dev/net/tun", "r+"))),
  },
  {
    name: "find a disk",
    proves: "no disk of the host",
    attempt: () => readdirSync("/dev").some((name) => /^(sd|vd|nvme|xvd|loop|dm-)/.test(name)),
  },
  {
    name: "make a device",
    proves: "no disk of the host by its number",
    attempt: can(() => execFileSync("mknod", ["/tmp/disk", "b", "8", "0"], { stdio: "ignore" })),
  },
  {
    name: "find a setuid program",
    proves: "nothing to become root with",
    attempt: () =>
      execFileSync("sh", ["-c", "find / -xdev -perm /6000 -type f 2>/dev/null || true"], { encoding: "utf8" }) !== "",
  },
  { name: "find the engine's socket", proves: "no engine", attempt: () => existsSync("/var/run/docker.sock") },
  {
    name: "find a mount of the host",
    proves: "no files of the host but the engine's own three",
    attempt: () =>
      readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .some((line) => {
          const target = line.split(" ")[4] ?? "";
          const ours = [
            "/etc/resolv.conf",
            "/etc/hostname",
            "/etc/hosts",
            "/sbin/docker-init",
            "/usr/sbin/docker-init",
            "/dev/init",
            "/",
          ];
          return / - (ext4|xfs|btrfs|9p|virtiofs|fuse\S*) /.test(line) && !ours.includes(target);
        }),
  },
  ...(
    [
      ["/etc/gitconfig", "git's own settings stay"],
      ["/etc/ld.so.preload", "nothing is put into others' programs"],
      ["/etc/profile.d/x.sh", "nothing is put into others' shells"],
      ["/etc/claude-code/managed-settings.json", "nobody orders Claude as an administrator would"],
      ["/etc/apt/apt.conf.d/x", "package managers obey nobody else"],
      ["/opt/claudecluster/x", "nothing is put beside the agent"],
      ["/base/objects/x", "the start state is not Claude's to write"],
      ["/dev/x", "no files among the devices"],
      ["/proc/x", "no files among the kernel's"],
      ["/sys/fs/cgroup/x", "no group of one's own"],
      ["/usr/lib/x", "no library is put before others"],
    ] as const
  ).map(([path, proves]) => ({ name: `make ${path}`, proves, attempt: makes(path) })),
  ...(
    [
      ["/usr/local/bin/node", "the agent's interpreter stays"],
      ["/usr/local/bin/dial-stdio", "the bridge to the agent stays"],
      ["/etc/group", "groups stay"],
      ["/etc/ssl/certs/ca-certificates.crt", "nobody adds an authority for all"],
      ["/proc/sys/kernel/modprobe", "no program of ours on the host"],
      ["/proc/sys/kernel/hostname", "the name stays"],
      ["/proc/sys/kernel/yama/ptrace_scope", "tracing stays as it is"],
      ["/proc/sys/kernel/randomize_va_space", "addresses stay random"],
      ["/proc/sys/kernel/ns_last_pid", "process ids are not chosen"],
      ["/proc/sys/net/ipv4/ip_forward", "the network's settings stay"],
      ["/proc/sys/user/max_user_namespaces", "no say in the machine's limits"],
      ["/proc/sys/fs/file-max", "no say in the machine's limits"],
      ["/sys/power/state", "the machine stays up"],
      ["/sys/module/apparmor/parameters/mode", "the kernel's guards stay"],
      ["/sys/kernel/mm/transparent_hugepage/enabled", "the kernel's settings stay"],
      ["/sys/bus/pci/rescan", "no devices are handled"],
    ] as const
  ).map(([path, proves]) => ({ name: `write ${path}`, proves, attempt: writes(path) })),
  ...(
    [
      ["/dev/port", "no ports of the machine"],
      ["/dev/cpu/0/msr", "no registers of the machine"],
      ["/dev/loop-control", "no disks of one's own"],
      ["/dev/dri/card0", "no hardware of the host"],
      ["/dev/snd/seq", "no hardware of the host"],
      ["/dev/vhost-net", "no hardware of the host"],
      ["/dev/userfaultfd", "no help for races in the kernel"],
      ["/dev/autofs", "nothing is mounted"],
    ] as const
  ).map(([path, proves]) => ({ name: `open ${path}`, proves, attempt: can(() => closeSync(openSync(path, "r"))) })),
  ...(
    [
      ["/proc/sched_debug", "no look at the host's processes"],
      ["/proc/vmallocinfo", "no addresses of the kernel"],
      ["/proc/slabinfo", "no look at the kernel's memory"],
      ["/proc/pagetypeinfo", "no look at the kernel's memory"],
      ["/proc/kpagecount", "no look at the machine's memory"],
      ["/proc/latency_stats", "no look at the host's processes"],
      ["/proc/timer_stats", "no look at the host's processes"],
      ["/sys/kernel/debug/sched/debug", "no look at the kernel"],
      ["/sys/kernel/tracing/trace", "no look at the kernel"],
      ["/sys/class/dmi/id/product_uuid", "the machine is not told from others"],
      ["/sys/firmware/acpi/tables/DSDT", "no firmware"],
      ["/sys/class/powercap/intel-rapl:0/energy_uj", "no measuring of what others compute"],
    ] as const
  ).map(([path, proves]) => ({
    name: `read ${path}`,
    proves,
    attempt: () => readFileSync(path, "latin1") !== "",
  })),
  ...["/sys/firmware", "/proc/acpi", "/proc/scsi"].map((path) => ({
    name: `list ${path}`,
    proves: "no hardware of the host",
    attempt: () => readdirSync(path).length > 0,
  })),
  {
    name: "make a character device",
    proves: "no device by its number",
    attempt: can(() => execFileSync("mknod", ["/tmp/null", "c", "1", "3"], { stdio: "ignore" })),
  },
  {
    name: "write the start state",
    proves: "a patch is made against what was there",
    attempt: () =>
      execFileSync("sh", ["-c", "find /base -writable 2>/dev/null; true"], { encoding: "utf8" }).trim() !== "",
  },
  {
    name: "map oneself to root",
    proves: "nobody is root under another number",
    attempt: can(() => writeFileSync("/proc/self/uid_map", `0 ${process.getuid!()} 1\n`)),
  },
  {
    name: "choose the audit's login id",
    proves: "nothing: one that is not set may be set once, for what one starts oneself",
    attempt: can(() => writeFileSync("/proc/self/loginuid", "0")),
  },
  {
    name: "replace the agent's directory",
    proves: "nobody puts a socket in the agent's place",
    attempt: can(() => renameSync("/run/agent", "/run/old")),
  },
  {
    name: "replace the workspace",
    proves: "places stay where they are",
    attempt: can(() => renameSync("/workspace", "/workspace.old")),
  },
  {
    name: "link to a file of root's",
    proves: "no second name with a mode of one's own",
    attempt: can(() => linkSync("/etc/shadow", "/tmp/shadow")),
  },
  {
    name: "give a file away",
    proves: "nothing is made in another's name",
    attempt: can(() => {
      writeFileSync("/tmp/given", "");
      chownSync("/tmp/given", 0, 0);
    }),
  },
  {
    name: "read the kernel's command line",
    proves: "nothing: it only informs",
    attempt: reads("/proc/cmdline"),
  },
  {
    name: "read where the engine keeps its files",
    proves: "nothing: it only informs",
    attempt: () => /\/(docker|containerd|overlay2)\//.test(readFileSync("/proc/self/mountinfo", "utf8")),
  },
  {
    name: "read how much memory the machine has",
    proves: "nothing: it only informs",
    attempt: reads("/proc/meminfo"),
  },
  {
    name: "read the kernel's configuration",
    proves: "nothing: it only informs",
    attempt: reads("/proc/config.gz"),
  },
  {
    name: "sudo",
    proves: "no way to be somebody else",
    attempt: can(() => {
      accessSync("/usr/bin/sudo");
    }),
  },
];
