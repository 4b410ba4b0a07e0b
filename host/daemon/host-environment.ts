import { SETTINGS } from "../config/settings.ts";
import { claudeDirectory, type HostDirectories } from "../directories.ts";
import { GIT_SETTINGS } from "../repository/git.ts";

/** Where things are, in which language, and who the user is. */
const USER = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP"];
/** How the network is reached, and whom to trust there. */
const { https_proxy, http_proxy, no_proxy } = SETTINGS;
const NETWORK = [https_proxy, http_proxy, no_proxy].flatMap(({ variables }) => variables);
const TRUST = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"];
/** What the user's own credential helpers find their key stores and agents by. */
const HELPERS = ["DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME", "SSH_AUTH_SOCK", "PASSWORD_STORE_DIR"];
const KEPT = new Set<string>([...USER, ...NETWORK, ...TRUST, ...HELPERS, ...GIT_SETTINGS]);
const KEPT_PREFIX = /^(CLAUDECLUSTER_|DOCKER_|XDG_|LC_)/;

/**
 * Returns the environment for a host that is started on demand: the front's variables for directories and the network,
 * and no others. The host serves everybody; what the first caller had set for programs of his own (NODE_OPTIONS,
 * NODE_TLS_REJECT_UNAUTHORIZED, a credential) must not reach it.
 */
export function hostEnvironment(env: NodeJS.ProcessEnv, directories: HostDirectories): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => KEPT.has(name) || KEPT_PREFIX.test(name))),
    // The user's own files for sessions that are started on the page are where their Claude Code has them.
    ...(env["CLAUDE_CONFIG_DIR"] && { CLAUDE_CONFIG_DIR: claudeDirectory(env) }),
    // Absolute, and the same whatever the host's own home may be.
    CLAUDECLUSTER_CONFIG_DIR: directories.configDirectory,
    CLAUDECLUSTER_STATE_DIR: directories.stateDirectory,
    CLAUDECLUSTER_RUNTIME_DIR: directories.runtimeDirectory,
  };
}
