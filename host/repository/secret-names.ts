import type { RawPath } from "../../proto/index.ts";

/** Names of files, and of directories with everything in them, that hold secrets in most projects that have them. */
const NAMES = new RegExp(
  [
    // Environments.
    String.raw`\.env(?:[-._].+)?|.+\.env|env\.(?:local|dev|development|stag(?:e|ing)|prod|production)|\.envrc(?:\..+)?|\.dev\.vars(?:\..+)?`,
    // Keys, and stores of keys or passwords.
    String.raw`.+\.(?:pem|key|p8|p12|pfx|pkcs12|pvk|jks|jceks|bks|keystore|keytab|kdbx?|psafe3|ppk|agekey|snk|ovpn|keychain(?:-db)?|1pux|agilekeychain)`,
    String.raw`(?:.+[-_.])?(?:id_)?(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|ssh_host_.+_key|secring\..+|krb5cc_.+|\.(?:ssh|gnupg)/.+`,
    // Infrastructure.
    String.raw`.+\.tfstate|.+\.tfvars(?:\.json)?|\.?terraform(?:\.)?rc|.+\.tfrc\.json|\.pulumi/.+`,
    String.raw`kubeconfig|.+\.kubeconfig|\.?kube/config|\.docker/config\.json|\.dockercfg|\.?vault[-_.]?(?:token|pass(?:word)?)(?:\.txt)?|\.chef/.+`,
    // Clouds.
    String.raw`\.?(?:aws_?)?credentials(?:\.(?:json|ya?ml|toml|ini|cfg|csv|txt|xml|properties|db))?|\.(?:s3cfg|boto|passwd-s3fs)|\.aws/.+|\.azure/.+|\.config/gcloud/.+|\.?rclone\.conf`,
    String.raw`client_secret.*\.json|.*service[-_]?account.*\.json|.*firebase-adminsdk.*\.json|gha-creds-.+\.json|application_default_credentials\.json`,
    String.raw`local\.settings\.json|.+\.publishsettings|token\.(?:json|pickle)|\.(?:.+[-_.])?tokens?`,
    // Logins of programs, package managers among them.
    String.raw`\.?(?:npmrc|pypirc|netrc|_netrc|git-credentials|gitcookies|htpasswd|htdigest|pgpass|my(?:login)?\.cnf|pg_service\.conf|curlrc|wgetrc|msmtprc|fetchmailrc|muttrc|sentryclirc|condarc)`,
    String.raw`\.yarnrc(?:\.ya?ml)?|auth\.json|settings-security\.xml|\.m2/settings\.xml|\.gradle/gradle\.properties|nuget\.config|\.config/(?:gh|hub|glab-cli)(?:/.+)?`,
    String.raw`s?ftp(?:-config)?\.json|\.ftpconfig|filezilla\.xml|sitemanager\.xml|recentservers\.xml|datasources\.local\.xml`,
    // Applications.
    String.raw`\.?(?:secrets?|passwords?|passwd)(?:\.(?:ya?ml|json|toml|txt|properties|env|ini|csv|xml|py))?|.+\.secrets?|master\.key|secret_token\.rb|wp-config\.php|local_settings\.py`,
    // What was typed.
    String.raw`\.(?:[a-z0-9]+_)?history|\.histfile`,
  ]
    .map((name) => `(?:${name})`)
    .join("|")
    .replace(/^.*$/s, "(?:^|/)(?:$&)$"),
  "i",
);
/** What shows the form of a secret, and holds none. */
const EXAMPLES =
  /[-_.](?:example|sample|template|tmpl|tpl|dist|defaults?|schema)(?:\.[a-z]+)?$|\.(?:pub|enc|sops(?:\.[a-z]+)?)$/i;
/** What editors and programs put behind a file's name, or around it, when they keep what it was. */
const COPIES = /(?:~|[-_.](?:backup|bak|bk|old|orig|save|saved|copy|prev|tmp|sw[a-p]|\d+))$/i;

/**
 * Returns whether a file's name says that it holds a secret, such as .env or id_rsa, or is a copy of one, such as .env~. Names
 * of examples do not.
 */
export function looksSecret(path: RawPath): boolean {
  const original = path.replace(COPIES, "").replace(/(^|\/)[#.](?=[.#])/, "$1");
  if (EXAMPLES.test(path) || EXAMPLES.test(original)) return false;
  return NAMES.test(path) || (original !== path && looksSecret(original));
}
