import type { RawPath } from "../../proto/index.ts";

const NAMES = new RegExp(
  [
    String.raw`\.env(?:\..+)?|.+\.env`,
    String.raw`.+\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk|tfstate|tfvars|ovpn)`,
    String.raw`id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?`,
    String.raw`\.?(?:npmrc|pypirc|netrc|_netrc|git-credentials|htpasswd|pgpass|my\.cnf|vault-token|dockercfg)`,
    String.raw`(?:aws_?)?credentials(?:\..+)?|client_secret.*\.json|service[-_]?account.*\.json`,
    String.raw`secrets?\.(?:ya?ml|json|toml|txt|properties|env)`,
    String.raw`kubeconfig|\.?kube/config|\.docker/config\.json|.+\.kubeconfig`,
  ]
    .map((name) => `(?:${name})`)
    .join("|")
    .replace(/^.*$/, "(?:^|/)(?:$&)$"),
  "i",
);
/** What shows the form of a secret, and holds none. */
const EXAMPLES = /\.(?:example|sample|template|tmpl|dist|defaults?|schema)(?:\.[a-z]+)?$|\.pub$/i;

/** Returns whether a file's name says that it holds a secret, such as .env or id_rsa. Names of examples do not. */
export function looksSecret(path: RawPath): boolean {
  return NAMES.test(path) && !EXAMPLES.test(path);
}
