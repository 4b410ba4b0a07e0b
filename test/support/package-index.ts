import { createHash } from "node:crypto";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Certificate } from "./certificate.ts";

// Empty packages, built with the tools of their languages.

export const WHEEL = "claudecluster_probe-1.0-py3-none-any.whl";
const WHEEL_BASE64 =
  "UEsDBBQAAAAIAAAAIVxkpGYTDAAAAAoAAAAWAAAAY2xhdWRlY2x1c3Rlcl9wcm9iZS5weQtz9Al1VbBVMOQCAFBLAwQUAAAACAAAACFc0SW7+DgAAAA9AAAAKgAAAGNsYXVkZWNsdXN0ZXJfcHJvYmUtMS4wLmRpc3QtaW5mby9NRVRBREFUQfNNLUlMSSxJ1A1LLSrOzM+zUjDSM+TyS8xNtVJIzkksTUlNziktLkkt0i0oyk9K5YIrM9Qz4AIAUEsDBBQAAAAIAAAAIVx7g7/BPQAAADsAAAAnAAAAY2xhdWRlY2x1c3Rlcl9wcm9iZS0xLjAuZGlzdC1pbmZvL1dIRUVMC89ITc3RDUstKs7Mz7NSMNQz4ArKzy/R9SzWDSgtSs3JTLJSKCkqTeUKSUy3UiioNNbNy89L1U3Mq+QCAFBLAwQUAAAACAAAACFcQW0ywM0AAAA3AQAAKAAAAGNsYXVkZWNsdXN0ZXJfcHJvYmUtMS4wLmRpc3QtaW5mby9SRUNPUkSNzb1ygjAAAODdZwlICEEzdEDI6XlQLCDoxMUIJxDKTwxFn75dnLr4At/HBVPXggsl78WY92N3KfT+AeSNmdj+sBJkzXSEaNg1tHEw9Vs+s/jgB5NZtez5acBB8RXOt0cAjQX/j2lQN/RrJe9a9V12y4AmjuckzisYyCU/rsVGrWryYFE2oF5qZy/ezpMQVpj9lNapucV1aXfAhm8E2Y5S/6Xv3fREnutUq6XJUjy0X5FJUVm5f4dC0yEkkLubNoT7AGDyhh5RN4w8ABa/UEsBAhQDFAAAAAgAAAAhXGSkZhMMAAAACgAAABYAAAAAAAAAAAAAAIABAAAAAGNsYXVkZWNsdXN0ZXJfcHJvYmUucHlQSwECFAMUAAAACAAAACFc0SW7+DgAAAA9AAAAKgAAAAAAAAAAAAAAgAFAAAAAY2xhdWRlY2x1c3Rlcl9wcm9iZS0xLjAuZGlzdC1pbmZvL01FVEFEQVRBUEsBAhQDFAAAAAgAAAAhXHuDv8E9AAAAOwAAACcAAAAAAAAAAAAAAIABwAAAAGNsYXVkZWNsdXN0ZXJfcHJvYmUtMS4wLmRpc3QtaW5mby9XSEVFTFBLAQIUAxQAAAAIAAAAIVxBbTLAzQAAADcBAAAoAAAAAAAAAAAAAACAAUIBAABjbGF1ZGVjbHVzdGVyX3Byb2JlLTEuMC5kaXN0LWluZm8vUkVDT1JEUEsFBgAAAAAEAAQARwEAAFUCAAAAAA==";
/** claudecluster-probe 1.0.0 for cargo. */
const CRATE_BASE64 =
  "H4sIAAAAAAACA+3TsQ6CMBDG8c48RcNubaXg5ORjGIdSG2OsYIr4/CIjxjgYHfT/W+5yN11yn4+u3wUf++4S0uyc2jrMjNJKz9cu7Vt1aU9RvEkPKmvHOphWrZdGmNIsyqKw9j43dlGVQmrxBcPhLkkp/tTm7PzR7cM2a9wpyJXM/eNH5Nk1pO7QNvf9+B15JvAL/NP8d8nP46FWqft4/od+mv9Ck38AAAAAAAAAAAAAAADglRu0Wn0OACgAAA==";
/** claudecluster.test/probe v1.0.0 for go. */
const MODULE_BASE64 =
  "UEsDBBQAAAAIAAAAIVzvqWChIgAAACAAAAAmAAAAY2xhdWRlY2x1c3Rlci50ZXN0L3Byb2JlQHYxLjAuMC9nby5tb2TLzU8pzUlVSM5JLE1JTc4pLS5JLdIrSS0u0S8oyk9K5QIAUEsDBBQAAAAIAAAAIVw0QmDNEAAAAA4AAAAoAAAAY2xhdWRlY2x1c3Rlci50ZXN0L3Byb2JlQHYxLjAuMC9wcm9iZS5nbytITM5OTE9VKCjKT0rlAgBQSwECFAMUAAAACAAAACFc76lgoSIAAAAgAAAAJgAAAAAAAAAAAAAAgAEAAAAAY2xhdWRlY2x1c3Rlci50ZXN0L3Byb2JlQHYxLjAuMC9nby5tb2RQSwECFAMUAAAACAAAACFcNEJgzRAAAAAOAAAAKAAAAAAAAAAAAAAAgAFmAAAAY2xhdWRlY2x1c3Rlci50ZXN0L3Byb2JlQHYxLjAuMC9wcm9iZS5nb1BLBQYAAAAAAgACAKoAAAC8AAAAAAA=";

/** An index of packages on this machine. */
export interface PackageIndex extends AsyncDisposable {
  /** "host:port". The address is no loopback one by its looks: go would not use a proxy for it. */
  authority: string;
}

/** Serves one empty package each for pip (/simple), cargo (sparse, /crates/) and go (/modules), over https. */
export async function startPackageIndex({ key, cert }: Certificate): Promise<PackageIndex> {
  const answers = packages();
  const server = createServer({ key, cert }, (request, response) => {
    const answer = answers[request.url ?? ""];
    if (answer === undefined) return response.writeHead(404).end();
    // pip wants to know that a page is one.
    const type = request.url!.startsWith("/simple/") ? "text/html" : "application/octet-stream";
    return response.writeHead(200, { "content-type": type }).end(answer(request.headers.host ?? ""));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    authority: `0.0.0.0:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Answers = Record<string, (host: string) => string | Buffer>;

function packages(): Answers {
  const [wheel, crate, module] = [WHEEL_BASE64, CRATE_BASE64, MODULE_BASE64].map((text) => Buffer.from(text, "base64"));
  const cksum = createHash("sha256").update(crate!).digest("hex");
  const entry = { name: "claudecluster-probe", vers: "1.0.0", deps: [], cksum, features: {}, yanked: false };
  const version = { Version: "v1.0.0", Time: "2026-01-01T00:00:00Z" };
  return {
    "/simple/claudecluster-probe/": () => `<a href="/${WHEEL}">${WHEEL}</a>`,
    [`/${WHEEL}`]: () => wheel!,
    // https://doc.rust-lang.org/cargo/reference/registry-index.html
    "/crates/config.json": (host) => JSON.stringify({ dl: `https://${host}/crates/files` }),
    "/crates/cl/au/claudecluster-probe": () => JSON.stringify(entry),
    "/crates/files/claudecluster-probe/1.0.0/download": () => crate!,
    // https://go.dev/ref/mod#goproxy-protocol
    "/modules/claudecluster.test/probe/@v/v1.0.0.info": () => JSON.stringify(version),
    "/modules/claudecluster.test/probe/@v/v1.0.0.mod": () => "module claudecluster.test/probe\n",
    "/modules/claudecluster.test/probe/@v/v1.0.0.zip": () => module!,
  };
}
