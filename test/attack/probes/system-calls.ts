import { spawnSync } from "node:child_process";
import type { Probe } from "./probe.ts";

/**
 * System calls of x86-64 by number (asm/unistd_64.h) with arguments that do no harm. One that fails with anything but
 * EPERM, EACCES or ENOSYS has been let in: the kernel has looked at its arguments.
 */
const CALLS: readonly [name: string, proves: string, number: number, ...args: number[]][] = [
  ["ptrace", "no process is stopped or read by another", 101, 0, 0, 0, 0],
  ["process_vm_readv", "no process reads another's memory", 310, 1, 0, 0, 0, 0, 0],
  ["process_vm_writev", "no process writes another's memory", 311, 1, 0, 0, 0, 0, 0],
  ["process_madvise", "no process gives hints on another's memory", 440, -1, 0, 0, 0, 0],
  ["pidfd_getfd", "no descriptor is taken from another process", 438, -1, 0, 0],
  ["kcmp", "no look at what other processes share", 312, 1, 1, 0, 0, 0],
  ["mount", "nothing is mounted", 165, 0, 0, 0, 0, 0],
  ["umount2", "nothing is unmounted", 166, 0, 0],
  ["pivot_root", "the root stays", 155, 0, 0],
  ["chroot", "the root stays", 161, 0],
  ["fsopen", "no mount by the new calls", 430, 0, 0],
  ["fsmount", "no mount by the new calls", 432, -1, 0, 0],
  ["fspick", "no mount by the new calls", 433, -1, 0, 0],
  ["open_tree", "no mount by the new calls", 428, -1, 0, 0],
  ["move_mount", "no mount by the new calls", 429, -1, 0, -1, 0, 0],
  ["mount_setattr", "no mount is made writable", 442, -1, 0, 0, 0, 0],
  ["unshare user namespace", "no namespace in which one is root", 272, 0x10000000],
  ["unshare mount namespace", "no namespace of mounts", 272, 0x20000],
  ["unshare network namespace", "no namespace of networks", 272, 0x40000000],
  ["setns", "no other namespace is entered", 308, -1, 0],
  ["clone3", "no flags that a filter cannot read", 435, 0, 0],
  ["bpf", "no programs in the kernel", 321, 0, 0, 0],
  ["perf_event_open", "no look at the kernel's counters", 298, 0, 0, -1, -1, 0],
  ["userfaultfd", "no help for races in the kernel", 323, 0],
  ["keyctl", "no keys of the kernel, which are shared between containers", 250, 0, 0, 0, 0, 0],
  ["add_key", "no keys of the kernel", 248, 0, 0, 0, 0, 0],
  ["request_key", "no keys of the kernel", 249, 0, 0, 0, 0],
  ["io_uring_setup", "no second way to every other call", 425, 1, 0],
  ["io_uring_enter", "no second way to every other call", 426, -1, 0, 0, 0, 0],
  ["io_uring_register", "no second way to every other call", 427, -1, 0, 0, 0],
  ["memfd_secret", "no memory that the host cannot look at", 447, 0],
  ["name_to_handle_at", "no file handles that reach outside of a mount", 303, -1, 0, 0, 0, 0],
  ["open_by_handle_at", "no file is opened by its handle", 304, -1, 0, 0],
  ["init_module", "no kernel module", 175, 0, 0, 0],
  ["finit_module", "no kernel module", 313, -1, 0, 0],
  ["delete_module", "no kernel module is removed", 176, 0, 0],
  ["kexec_load", "no other kernel", 246, 0, 0, 0, 0],
  ["kexec_file_load", "no other kernel", 320, -1, -1, 0, 0, 0],
  ["reboot", "the machine stays up", 169, 0, 0, 0, 0],
  ["swapon", "no swap", 167, 0, 0],
  ["swapoff", "no swap is taken away", 168, 0],
  ["settimeofday", "the clock stays", 164, 0, 0],
  ["clock_settime", "the clock stays", 227, 0, 0],
  ["adjtimex", "the clock's rate stays", 159, 0],
  ["clock_adjtime", "the clock's rate stays", 305, 0, 0],
  ["syslog", "no kernel log", 103, 3, 0, 0],
  ["acct", "no accounting file of the kernel's", 163, 0],
  ["quotactl", "no quotas", 179, 0, 0, 0, 0],
  ["iopl", "no I/O ports", 172, 3],
  ["ioperm", "no I/O ports", 173, 0, 1, 1],
  ["modify_ldt", "no segments of one's own", 154, 0, 0, 0],
  ["personality without random addresses", "addresses stay random", 135, 0x40000],
  ["lookup_dcookie", "no paths from the kernel's profiler", 212, 0, 0, 0],
  ["fanotify_init", "no watching of whole mounts", 300, 0, 0],
  ["vhangup", "no terminal is hung up", 153],
  ["sethostname", "the name stays", 170, 0, 0],
  ["setdomainname", "the name stays", 171, 0, 0],
  ["mbind", "no say in the machine's memory nodes", 237, 0, 0, 0, 0, 0, 0],
  ["migrate_pages", "no say in the machine's memory nodes", 256, 0, 0, 0, 0],
  ["move_pages", "no say in the machine's memory nodes", 279, 0, 0, 0, 0, 0, 0],
  ["mq_open", "no message queues, which count by user across containers", 240, 0, 0, 0, 0],
  ["msgget", "no message queues of System V", 68, 0, 0],
  ["uselib", "no old calls", 134, 0],
  ["ustat", "no old calls", 136, 0, 0],
  ["sysfs", "no old calls", 139, 3, 0, 0],
  ["setuid root", "nobody becomes the agent", 105, 0],
  ["setgid root", "nobody becomes the agent's group", 106, 0],
  ["setgroups", "no group is joined", 116, 0, 0],
  ["kill agent", "the agent is not signalled", 62, 1, 0],
  ["socket packet", "no frames of the network", 41, 17, 3, 0],
  ["socket vsock", "no way to the hypervisor or the host", 41, 40, 1, 0],
  ["socket alg", "no crypto in the kernel", 41, 38, 5, 0],
  ["socket xdp", "no frames of the network", 41, 44, 3, 0],
  ["socket key", "no keys of IPsec", 41, 15, 3, 2],
  ["socket bluetooth", "no drivers by their sockets", 41, 31, 3, 1],
  ["socket can", "no drivers by their sockets", 41, 29, 3, 1],
  ["socket tipc", "no rare protocols", 41, 30, 1, 0],
  ["socket rds", "no rare protocols", 41, 21, 5, 0],
  ["socket netlink audit", "no audit of the kernel", 41, 16, 3, 9],
  ["socket netlink netfilter", "no firewall of the kernel", 41, 16, 3, 12],
  ["socket netlink events", "no events of devices", 41, 16, 3, 15],
  ["socket raw IPv4", "no packets made by hand", 41, 2, 3, 1],
  ["socket raw IPv6", "no packets made by hand", 41, 10, 3, 58],
  ["socket raw any", "no packets made by hand", 41, 2, 3, 255],
  ["socket netlink connector", "no events of the host's processes", 41, 16, 3, 11],
  ["socket netlink generic", "no settings of drivers", 41, 16, 3, 16],
  ["socket netlink crypto", "no crypto in the kernel", 41, 16, 3, 21],
  ["socket netlink xfrm", "no keys of IPsec", 41, 16, 3, 6],
  ["socket netlink diag", "no look at the sockets of others", 41, 16, 3, 4],
  ["socket nfc", "no drivers by their sockets", 41, 39, 3, 0],
  ["socket ax25", "no rare protocols", 41, 3, 2, 0],
  ["socket x25", "no rare protocols", 41, 9, 5, 0],
  ["socket llc", "no rare protocols", 41, 26, 2, 0],
  ["socket pppox", "no rare protocols", 41, 24, 2, 0],
  ["socket smc", "no rare protocols", 41, 43, 1, 0],
  ["socket qipcrtr", "no rare protocols", 41, 42, 2, 0],
  ["socket kcm", "no rare protocols", 41, 41, 2, 0],
  ["socket ieee802154", "no rare protocols", 41, 36, 2, 0],
  ["unshare process ids", "no namespace of processes", 272, 0x20000000],
  ["unshare IPC", "no namespace of IPC", 272, 0x8000000],
  ["unshare hostname", "no namespace of names", 272, 0x4000000],
  ["unshare cgroups", "no namespace of cgroups", 272, 0x2000000],
  ["unshare time", "no namespace of clocks", 272, 0x80],
  ["clone user namespace", "no namespace in which one is root", 56, 0x10000011, 0, 0, 0, 0],
  ["fsconfig", "no mount by the new calls", 431, -1, 0, 0, 0, 0],
  ["statmount", "no look at mounts of others", 457, 0, 0, 0, 0],
  ["listmount", "no look at mounts of others", 458, 0, 0, 0, 0],
  ["quotactl_fd", "no quotas", 443, -1, 0, 0, 0],
  ["fanotify_mark", "no watching of whole mounts", 301, -1, 0, 0, -1, 0],
  ["process_mrelease", "no memory is taken from another process", 448, -1, 0],
  ["map_shadow_stack", "no rare kinds of memory", 453, 0, 0, 0],
  ["lsm_list_modules", "no look at the kernel's guards", 461, 0, 0, 0],
  ["mq_unlink", "no message queues, which count by user across containers", 241, 0],
  ["set_mempolicy", "no say in the machine's memory nodes", 238, 0, 0, 0],
  ["get_mempolicy", "no look at the machine's memory nodes", 239, 0, 0, 0, 0, 0],
  ["nfsservctl", "no old calls", 180, 0, 0, 0],
  ["_sysctl", "no old calls", 156, 0],
  ["query_module", "no old calls", 178, 0, 0, 0, 0, 0],
  ["setresuid root", "nobody becomes the agent", 117, 0, 0, 0],
  ["setresgid root", "nobody becomes the agent's group", 119, 0, 0, 0],
  ["setreuid root", "nobody becomes the agent", 113, 0, 0],
  ["tgkill agent", "no thread of the agent is signalled", 234, 1, 1, 0],
  ["prlimit64 of the agent", "the agent's limits are its own", 302, 1, 7, 0, 0],
  ["setpriority of the agent", "the agent answers while Claude is busy", 141, 0, 1, 5],
  ["ioprio_set of the agent", "the agent answers while Claude is busy", 251, 1, 1, 0x6007],
  ["get_robust_list of the agent", "no addresses of the agent", 274, 1, 0, 0],
  ["ptrace of x32", "no second numbers for the same calls", 0x40000000 + 521, 0, 0, 0, 0],
  ["mount of x32", "no second numbers for the same calls", 0x40000000 + 165, 0, 0, 0, 0, 0],
  ["memfd_create", "nothing: files without a name are of no harm", 319, 0, 0],
  ["landlock_create_ruleset", "nothing: whoever calls it may do less", 444, 0, 0, 1],
  ["socket netlink route", "nothing: the list of interfaces has one", 41, 16, 3, 0],
];

/** Every call in a process of its own, since a filter may end it. Perl is in every Debian; Node cannot call by number. */
const PERL = `
  use POSIX ();
  while (<STDIN>) {
    chomp; my ($name, @numbers) = split /\\t/;
    my $child = fork();
    if ($child == 0) {
      alarm 5; $! = 0;
      my $answer = syscall($numbers[0], @numbers[1..$#numbers]);
      # 1 EPERM, 13 EACCES, 38 ENOSYS
      POSIX::_exit($answer != -1 ? 10 : ($! == 1 || $! == 13 || $! == 38) ? 20 : 11);
    }
    waitpid($child, 0);
    my $code = $? >> 8;
    print "$name\\n" if ($? & 127) == 0 && ($code == 10 || $code == 11);
  }`;

function letIn(): Set<string> {
  // Perl hands numbers over as such only when they look like ones in its own eyes.
  const program = PERL.replace("split /\\t/;", "split /\\t/; $_ += 0 for @numbers;");
  const input = CALLS.map(([name, , ...numbers]) => [name, ...numbers].join("\t")).join("\n");
  const { status, stdout, stderr } = spawnSync("perl", ["-e", program], { input: `${input}\n`, encoding: "utf8" });
  if (status !== 0) throw new Error(`perl: ${stderr}`);
  return new Set(stdout.split("\n"));
}

/** Only for x86-64: the numbers are its own. */
export function systemCallProbes(): Probe[] {
  if (process.arch !== "x64") throw new Error(`No numbers of system calls for ${process.arch}.`);
  const open = letIn();
  return CALLS.map(([name, proves]) => ({ name: `call ${name}`, proves, attempt: () => open.has(name) }));
}
