import { execFileSync } from "node:child_process";
import { accessSync, closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
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
  { name: "write the agent", proves: "the agent's program stays", attempt: writes("/opt/claudecluster/agent.mjs") },
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
  {
    name: "sudo",
    proves: "no way to be somebody else",
    attempt: can(() => {
      accessSync("/usr/bin/sudo");
    }),
  },
];
