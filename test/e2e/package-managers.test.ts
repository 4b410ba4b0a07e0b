import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
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
import { type Certificate, makeCertificate } from "../support/certificate.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

// From a container without a network, through the host's proxy: the real tools and the real registries.

/** The authorities that this machine trusts: where its way out ends TLS, the container's tools must trust them too. */
const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

/** Python is not in the image: what it and pip need, as Debian has it. */
const PYTHON =
  "python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3-pip python3-distutils python3-lib2to3 python3-setuptools python3-pkg-resources libexpat1";
/** apt as somebody who is not root, in directories of his own. */
const APT = "apt-get -qq -o Dir::State::Lists=/tmp/apt/lists -o Dir::Cache=/tmp/apt/cache -o APT::Sandbox::User=";

/** An empty package, built with Python's own tools. */
const WHEEL = "claudecluster_probe-1.0-py3-none-any.whl";
const WHEEL_BASE64 =
  "UEsDBBQAAAAIAAAAIVxkpGYTDAAAAAoAAAAWAAAAY2xhdWRlY2x1c3Rlcl9wcm9iZS5weQtz9Al1VbBVMOQCAFBLAwQUAAAACAAAACFc0SW7+DgAAAA9AAAAKgAAAGNsYXVkZWNsdXN0ZXJfcHJvYmUtMS4wLmRpc3QtaW5mby9NRVRBREFUQfNNLUlMSSxJ1A1LLSrOzM+zUjDSM+TyS8xNtVJIzkksTUlNziktLkkt0i0oyk9K5YIrM9Qz4AIAUEsDBBQAAAAIAAAAIVx7g7/BPQAAADsAAAAnAAAAY2xhdWRlY2x1c3Rlcl9wcm9iZS0xLjAuZGlzdC1pbmZvL1dIRUVMC89ITc3RDUstKs7Mz7NSMNQz4ArKzy/R9SzWDSgtSs3JTLJSKCkqTeUKSUy3UiioNNbNy89L1U3Mq+QCAFBLAwQUAAAACAAAACFcQW0ywM0AAAA3AQAAKAAAAGNsYXVkZWNsdXN0ZXJfcHJvYmUtMS4wLmRpc3QtaW5mby9SRUNPUkSNzb1ygjAAAODdZwlICEEzdEDI6XlQLCDoxMUIJxDKTwxFn75dnLr4At/HBVPXggsl78WY92N3KfT+AeSNmdj+sBJkzXSEaNg1tHEw9Vs+s/jgB5NZtez5acBB8RXOt0cAjQX/j2lQN/RrJe9a9V12y4AmjuckzisYyCU/rsVGrWryYFE2oF5qZy/ezpMQVpj9lNapucV1aXfAhm8E2Y5S/6Xv3fREnutUq6XJUjy0X5FJUVm5f4dC0yEkkLubNoT7AGDyhh5RN4w8ABa/UEsBAhQDFAAAAAgAAAAhXGSkZhMMAAAACgAAABYAAAAAAAAAAAAAAIABAAAAAGNsYXVkZWNsdXN0ZXJfcHJvYmUucHlQSwECFAMUAAAACAAAACFc0SW7+DgAAAA9AAAAKgAAAAAAAAAAAAAAgAFAAAAAY2xhdWRlY2x1c3Rlcl9wcm9iZS0xLjAuZGlzdC1pbmZvL01FVEFEQVRBUEsBAhQDFAAAAAgAAAAhXHuDv8E9AAAAOwAAACcAAAAAAAAAAAAAAIABwAAAAGNsYXVkZWNsdXN0ZXJfcHJvYmUtMS4wLmRpc3QtaW5mby9XSEVFTFBLAQIUAxQAAAAIAAAAIVxBbTLAzQAAADcBAAAoAAAAAAAAAAAAAACAAUIBAABjbGF1ZGVjbHVzdGVyX3Byb2JlLTEuMC5kaXN0LWluZm8vUkVDT1JEUEsFBgAAAAAEAAQARwEAAFUCAAAAAA==";

/** A package index of one package, over TLS. */
async function startIndex({ key, cert }: Certificate): Promise<AsyncDisposable & { authority: string }> {
  const server = createServer({ key, cert }, (request, response) => {
    if (request.url === "/simple/claudecluster-probe/") {
      response.writeHead(200, { "content-type": "text/html" }).end(`<a href="/${WHEEL}">${WHEEL}</a>`);
    } else if (request.url === `/${WHEEL}`) response.end(Buffer.from(WHEEL_BASE64, "base64"));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    authority: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Runs commands as Claude does, and returns what each printed and what was decided of their connections. */
async function run(
  rig: HostRig,
  { commands, authorities, mode }: { commands: readonly string[]; authorities: string; mode: EgressSpec_Mode },
): Promise<{ outputs: string[]; decisions: string[] }> {
  const uri = await rig.git.addRepository(`tools-${mode}`, { "ca.pem": authorities });
  const calls = commands.map((command) => ({ name: "Bash", input: { command, timeout: 120_000 } }));
  const trusted = "/workspace/repo/ca.pem";
  const spec = create(SessionSpecSchema, {
    task: `[scenario: call-tools ${JSON.stringify(calls)}]`,
    repository: create(RepositorySpecSchema, { uri }),
    timeout: durationFromMs(280_000),
    environment: { NODE_EXTRA_CA_CERTS: trusted, npm_config_cafile: trusted, PIP_CERT: trusted, APT },
    egress: create(EgressSpecSchema, { mode }),
  });
  const { id } = await rig.sessions.create({ spec, container: create(ContainerSpecSchema) });
  const outputs: string[] = [];
  const decisions: string[] = [];
  for await (const { event } of rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(290_000) })) {
    if (event.case === "toolUseFinished") outputs.push(event.value.output);
    if (event.case === "egressDecided") {
      const { allowed, destination, reason } = event.value;
      decisions.push(`${allowed ? "+" : "-"}${destination} ${reason}`.trim());
    }
  }
  return { outputs, decisions };
}

test("npm installs a package with a native binary, apt-get and pip download; what is not listed is refused, clearly", async () => {
  const certificate = await makeCertificate();
  await using index = await startIndex(certificate);
  await using rig = await startHostRig({ config: { egress_private: [index.authority] } });
  const authorities = certificate.cert + (existsSync(AUTHORITIES) ? readFileSync(AUTHORITIES, "utf8") : "");
  const python = "PYTHONPATH=root/usr/lib/python3/dist-packages PYTHONHOME=root/usr root/usr/bin/python3.11";
  const commands = [
    "mkdir /tmp/p && cd /tmp/p && npm init -y >/dev/null && npm install --no-audit --no-fund esbuild && npx esbuild --version",
    `mkdir -p /tmp/apt/lists/partial /tmp/apt/cache/archives/partial && cd /tmp/apt && $APT update && $APT download ${PYTHON} && for deb in *.deb; do dpkg -x $deb root; done; ls *.deb | wc -l`,
    // The index is on the host's loopback, which the container's own is not.
    `cd /tmp/apt && export LD_LIBRARY_PATH=$(dirname root/usr/lib/*/libexpat.so.1):$(dirname root/lib/*/libexpat.so.1); NO_PROXY= no_proxy= ${python} -m pip download --index-url https://${index.authority}/simple claudecluster-probe 2>&1; ls *.whl`,
    "curl -sS https://example.com/ 2>&1; curl -sS -i http://example.com/ 2>&1 | head -1",
    "npm view left-pad version --registry https://registry.example.com 2>&1",
  ];
  const { outputs, decisions } = await run(rig, { commands, authorities, mode: EgressSpec_Mode.LISTED });
  expect(outputs).toHaveLength(commands.length);
  expect(outputs[0]).toMatch(/^\d+\.\d+\.\d+$/m);
  expect(outputs[1]).toMatch(/^9$/m);
  expect(outputs[2]).toMatch(new RegExp(`^${WHEEL}$`, "m"));
  expect(outputs[3]).toContain("CONNECT tunnel failed, response 403");
  expect(outputs[3]).toContain("HTTP/1.1 403 Refused by ClaudeCluster: example.com:80, not on the list");
  expect(outputs[4]).toContain("403 Refused by ClaudeCluster: registry.example.com:443, not on the list");
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
