import { hostname } from "node:os";
import type { ClaudeSpec } from "./argv.ts";

/** Container's part of Claude's environment. */
export interface EnvironmentOptions {
  /** Home directory of the session's user. */
  home: string;
  /** Directories in which programs are looked for, separated by colons. */
  path: string;
  /** Loopback port of the relay that leads to the model. */
  modelPort: number;
  /** Loopback port of the relay that is the proxy for everything else. */
  proxyPort: number;
  /** Configuration of git on top of the session's own. Default: none. */
  urlConfig?: readonly (readonly [key: string, value: string])[];
}

/**
 * Returns all environment variables of Claude: nothing is inherited. The API key among them is a placeholder; the host
 * puts the real one in outside of the container.
 */
export function claudeEnvironment(spec: ClaudeSpec, options: EnvironmentOptions): Record<string, string> {
  const proxy = `http://127.0.0.1:${options.proxyPort}`;
  const direct = own.join(",");
  return {
    // A session may think otherwise.
    NODE_USE_ENV_PROXY: "1",
    ...spec.environment,
    ...traceEnvironment(spec),
    PATH: options.path,
    HOME: options.home,
    USER: "claude",
    LOGNAME: "claude",
    SHELL: "/bin/bash",
    LANG: "C.UTF-8",
    TMPDIR: "/tmp",
    ANTHROPIC_BASE_URL: `http://127.0.0.1:${options.modelPort}`,
    ANTHROPIC_API_KEY: "placeholder",
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    NO_PROXY: direct,
    no_proxy: direct,
    JAVA_TOOL_OPTIONS: javaOptions(spec, options.proxyPort),
    // Updates and error reports have nowhere to go.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    ...(spec.claudeTelemetry && telemetryEnvironment(proxy)),
    // Nobody is there to type a password.
    GIT_TERMINAL_PROMPT: "0",
    ...gitConfig(spec, options.urlConfig ?? []),
    ...extra(spec, options),
  };
}

/** Which trace Claude's work belongs to, as `claude -p` and other programs read it. */
function traceEnvironment({ traceParent }: Pick<ClaudeSpec, "traceParent">): Record<string, string> {
  return traceParent === "" ? {} : { TRACEPARENT: traceParent };
}

/** Claude Code sends what it measures, and its requests to the model name the spans that they are in. */
function telemetryEnvironment(endpoint: string): Record<string, string> {
  return {
    CLAUDE_CODE_ENABLE_TELEMETRY: "1",
    CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: "1",
    CLAUDE_CODE_PROPAGATE_TRACEPARENT: "1",
    OTEL_METRICS_EXPORTER: "otlp",
    OTEL_LOGS_EXPORTER: "otlp",
    OTEL_TRACES_EXPORTER: "otlp",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  };
}

/** Returns the environment variables of the session's other commands: Claude's, without those for Claude Code itself. */
export function commandEnvironment(spec: ClaudeSpec, options: EnvironmentOptions): Record<string, string> {
  const variables = Object.entries(claudeEnvironment({ ...spec, claudeTelemetry: false }, options));
  return Object.fromEntries(variables.filter(([name]) => !/^(?:ANTHROPIC|CLAUDE_CODE)_/.test(name)));
}

/**
 * The container's own names and addresses, in the forms that programs know: names with what is below them, networks (curl,
 * Go, Python's requests), ranges (Node's http), and addresses for the rest, which knows no more. Not "[::1]", on which
 * Python's httpx breaks.
 */
const own = [
  ...new Set([
    ...["localhost", ".localhost", "127.0.0.1", "127.0.0.2", "127.0.0.0/8", "127.0.0.1-127.255.255.254"],
    ...["0.0.0.0", "::1", "::", hostname()],
  ]),
];

/** Java knows no variables for proxies. What the session brings counts after it, and so before it. */
function javaOptions({ environment }: ClaudeSpec, proxyPort: number): string {
  const given = environment["JAVA_TOOL_OPTIONS"];
  const direct = ["localhost", "*.localhost", "127.*", "0.0.0.0", "[::1]", "[::]", hostname()];
  return [
    ...["http", "https"].flatMap((scheme) => [`-D${scheme}.proxyHost=127.0.0.1`, `-D${scheme}.proxyPort=${proxyPort}`]),
    `-Dhttp.nonProxyHosts=${direct.join("|")}`,
    ...(given === undefined ? [] : [given]),
  ].join(" ");
}

/** The session may bring entries of its own: https://git-scm.com/docs/git-config#ENVIRONMENT */
function gitConfig(
  { environment }: ClaudeSpec,
  entries: readonly (readonly [string, string])[],
): Record<string, string> {
  if (entries.length === 0) return {};
  const given = environment["GIT_CONFIG_COUNT"] ?? "";
  const first = /^\d{1,3}$/.test(given) ? Number(given) : 0;
  const config: Record<string, string> = { GIT_CONFIG_COUNT: String(first + entries.length) };
  entries.forEach(([key, value], index) => {
    config[`GIT_CONFIG_KEY_${first + index}`] = key;
    config[`GIT_CONFIG_VALUE_${first + index}`] = value;
  });
  return config;
}

/** LANG and PATH are not reserved: a session may add to them. */
function extra({ environment }: ClaudeSpec, { path }: EnvironmentOptions): Record<string, string> {
  const lang = environment["LANG"];
  const ownPath = environment["PATH"];
  return {
    ...(lang !== undefined && { LANG: lang }),
    ...(ownPath !== undefined && { PATH: `${ownPath}:${path}` }),
  };
}
