import { existsSync, readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  ContainerSpecSchema,
  EgressSpec_Mode,
  EgressSpecSchema,
  RepositorySpecSchema,
  SessionSpecSchema,
} from "../../proto/index.ts";
import { makeCertificate } from "../support/certificate.ts";
import { startPackageIndex, WHEEL } from "../support/package-index.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";
import { eachEvent } from "../support/each-event.ts";

// From a container without a network, through the host's proxy: the real tools and the real registries.

/** The authorities that this machine trusts: where its way out ends TLS, the container's tools must trust them too. */
const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

/** Python is not in the image: what it and pip need, as Debian has it. */
const PYTHON =
  "python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3-pip python3-distutils python3-lib2to3 python3-setuptools python3-pkg-resources libexpat1";
/** Neither are cargo, the one that Debian builds browsers with, since it is the newest, and go; these bring no compiler. */
const CARGO = "cargo-web libgit2-1.5 libhttp-parser2.9 libmbedtls14 libmbedx509-1 libmbedcrypto7 libsqlite3-0";
const GO = "golang-1.19-go";
const GO_ROOT = "usr/lib/go-1.19";
const MANIFEST = String.raw`[package]\nname = "probe"\nversion = "0.1.0"\n[dependencies]\nclaudecluster-probe = { version = "1", registry = "probe" }\n`;
/** apt as somebody who is not root, in directories of his own. */
const APT = "apt-get -qq -o Dir::State::Lists=/tmp/apt/lists -o Dir::Cache=/tmp/apt/cache -o APT::Sandbox::User=";

/** Programs that are not told of the proxy use it. */
const NODE_FETCH = `node -e 'fetch("https://registry.npmjs.org/left-pad").then((answer) => answer.json()).then(({ name }) => console.log(name))'`;
/** The container itself, as programs call it. */
const OWN_NAMES = ["localhost", "127.0.0.1", "127.0.0.2", "0.0.0.0", "$(hostname)"];
const GET = `require("http").get(process.argv[1], (answer) => answer.pipe(process.stdout))`;
const FETCH = `fetch(process.argv[1]).then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
/** What is served inside is reached under each of them, by curl and by both of Node's ways. */
const OWN_SERVERS = [
  `node -e 'require("http").createServer((_, answer) => answer.end("answers")).listen(8000, "::", () => console.log("up"))' > /tmp/up &`,
  "until grep -q up /tmp/up; do sleep 0.1; done",
  ...OWN_NAMES.map((name) =>
    ["curl -sS", `node -e '${GET}'`, `node -e '${FETCH}'`]
      .map((get) => `echo '${name}' $(${get} "http://${name}:8000/" 2>&1)`)
      .join("; "),
  ),
  "kill %1",
].join("\n");

/** Has every tool trust the authorities in a file. */
const trust = (file: string) => ({
  NODE_EXTRA_CA_CERTS: file,
  npm_config_cafile: file,
  PIP_CERT: file,
  CARGO_HTTP_CAINFO: file,
  SSL_CERT_FILE: file,
});

/** Runs commands as Claude does, and returns what each printed and what was decided of their connections. */
async function run(
  rig: HostRig,
  { commands, authorities, mode }: { commands: readonly string[]; authorities: string; mode: EgressSpec_Mode },
): Promise<{ outputs: string[]; decisions: string[] }> {
  const uri = await rig.git.addRepository(`tools-${mode}`, { "ca.pem": authorities });
  const calls = commands.map((command) => ({ name: "Bash", input: { command, timeout: 120_000 } }));
  const spec = create(SessionSpecSchema, {
    task: `[scenario: call-tools ${JSON.stringify(calls)}]`,
    repository: create(RepositorySpecSchema, { uri }),
    timeout: durationFromMs(280_000),
    environment: { ...trust("/workspace/repo/ca.pem"), APT },
    egress: create(EgressSpecSchema, { mode }),
  });
  const { id } = await rig.sessions.create({ spec, container: create(ContainerSpecSchema) });
  const outputs: string[] = [];
  const decisions: string[] = [];
  for await (const { event } of eachEvent(
    rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(290_000) }),
  )) {
    if (event.case === "toolUseFinished") outputs.push(event.value.output);
    if (event.case === "egressDecided") {
      const { allowed, destination, reason } = event.value;
      decisions.push(`${allowed ? "+" : "-"}${destination} ${reason}`.trim());
    }
  }
  return { outputs, decisions };
}

test("npm installs a package with a native binary, apt-get, pip, cargo and go download; what is not listed is refused, clearly", async () => {
  const certificate = await makeCertificate();
  await using index = await startPackageIndex(certificate);
  await using rig = await startHostRig({ config: { egress_private: [index.authority] } });
  const authorities = certificate.cert + (existsSync(AUTHORITIES) ? readFileSync(AUTHORITIES, "utf8") : "");
  const python = "PYTHONPATH=root/usr/lib/python3/dist-packages PYTHONHOME=root/usr root/usr/bin/python3.11";
  // Of go one program is enough, which comes early in a large archive.
  // The index is at an address which is the container's own by its looks.
  const far = "export NO_PROXY= no_proxy=;";
  const tools = `$APT download ${CARGO} ${GO} && for deb in cargo*.deb lib*.deb; do dpkg -x $deb root; done && dpkg --fsys-tarfile golang*.deb 2>/dev/null | tar -x -C root --occurrence=1 ./${GO_ROOT}/bin/go; rm *.deb; export LD_LIBRARY_PATH=$(echo root/usr/lib/*-linux-*)`;
  const commands = [
    "mkdir /tmp/p && cd /tmp/p && npm init -y >/dev/null && npm install --no-audit --no-fund esbuild && npx esbuild --version",
    `mkdir -p /tmp/apt/lists/partial /tmp/apt/cache/archives/partial && cd /tmp/apt && $APT update && $APT download ${PYTHON} && for deb in *.deb; do dpkg -x $deb root; done; ls *.deb | wc -l`,
    `${far} cd /tmp/apt && export LD_LIBRARY_PATH=$(dirname root/usr/lib/*/libexpat.so.1):$(dirname root/lib/*/libexpat.so.1); ${python} -m pip download --index-url https://${index.authority}/simple claudecluster-probe 2>&1; ls *.whl`,
    `${far} mkdir /workspace/crate && cd /workspace/crate && ${tools} && mkdir src && touch src/lib.rs && printf '${MANIFEST}' > Cargo.toml && export CARGO_REGISTRIES_PROBE_INDEX=sparse+https://${index.authority}/crates/ && root/usr/bin/cargo vendor 2>&1; ls vendor`,
    `${far} cd /workspace/crate && export GOROOT=$PWD/root/${GO_ROOT} GOPATH=/tmp/go GOPROXY=https://${index.authority}/modules GOSUMDB=off && printf 'module probe\\nrequire claudecluster.test/probe v1.0.0\\n' > go.mod && $GOROOT/bin/go mod download -x 2>&1; ls /tmp/go/pkg/mod/claudecluster.test`,
    "curl -sS https://example.com/ 2>&1; curl -sS -i http://example.com/ 2>&1 | head -1",
    "npm view left-pad version --registry https://registry.example.com 2>&1",
  ];
  const { outputs, decisions } = await run(rig, { commands, authorities, mode: EgressSpec_Mode.LISTED });
  expect(outputs).toHaveLength(commands.length);
  expect(outputs[0]).toMatch(/^\d+\.\d+\.\d+$/m);
  expect(outputs[1]).toMatch(/^9$/m);
  expect(outputs[2]).toMatch(new RegExp(`^${WHEEL}$`, "m"));
  expect(outputs[3]).toMatch(/^claudecluster-probe$/m);
  expect(outputs[4]).toMatch(/^probe@v1.0.0$/m);
  expect(outputs[5]).toContain("CONNECT tunnel failed, response 403");
  expect(outputs[5]).toContain("HTTP/1.1 403 Refused by ClaudeCluster: example.com:80, not on the list");
  expect(outputs[6]).toContain("403 Refused by ClaudeCluster: registry.example.com:443, not on the list");
  expect(decisions).toContain("-example.com:443 not on the list");
  expect(decisions).toContain("-registry.example.com:443 not on the list");

  // A session may do without.
  const none = await run(rig, {
    commands: ["npm view left-pad version 2>&1"],
    authorities,
    mode: EgressSpec_Mode.NONE,
  });
  expect(none.outputs[0]).toContain("403 Refused by ClaudeCluster");
  expect(none.decisions.filter((decision) => decision.startsWith("+"))).toEqual([`+127.0.0.1:${rig.git.port}`]);
}, 300_000);

test("Node's own clients use the proxy, and what is served inside is reached under all its names", async () => {
  await using rig = await startHostRig();
  const authorities = existsSync(AUTHORITIES) ? readFileSync(AUTHORITIES, "utf8") : "";
  const commands = [NODE_FETCH, OWN_SERVERS];
  const { outputs } = await run(rig, { commands, authorities, mode: EgressSpec_Mode.LISTED });
  expect(outputs[0]).toMatch(/^left-pad$/m);
  expect(outputs[1]!.trim().split("\n")).toEqual(OWN_NAMES.flatMap((name) => Array(3).fill(`${name} answers`)));
}, 120_000);
