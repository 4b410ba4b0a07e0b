import { expect, test } from "vitest";
import { looksSecret } from "./secret-names.ts";

test.each(
  [
    ".env .env.local .env~ .env.bak .env-production app/.env.old prod.env env.local .envrc .envrc.local .dev.vars ..env.swp .env.20240101",
    "server.pem tls.key AuthKey_1.p8 a.p12 a.pfx release.keystore a.jks http.keytab krb5cc_1000 secrets.kdbx a.ppk .ssh/config",
    "id_rsa id_ed25519 deploy_rsa github.ed25519 id_ecdsa_sk ssh_host_rsa_key .gnupg/secring.gpg",
    "terraform.tfstate terraform.tfstate.backup terraform.tfstate.1700000000.backup prod.tfvars prod.auto.tfvars.json .terraformrc",
    "kubeconfig .kube/config admin.kubeconfig .docker/config.json .dockercfg .vault-token .vault_pass vault-password.txt",
    "credentials .aws/credentials credentials.json .credentials.json .s3cfg .boto rclone.conf .azure/msal_token_cache.json",
    "client_secret_1.json my-service-account.json serviceAccountKey.json x-firebase-adminsdk-1.json local.settings.json token.json .github-token",
    ".npmrc .pypirc .netrc _netrc .git-credentials .htpasswd .pgpass .my.cnf .yarnrc.yml .m2/settings.xml settings-security.xml auth.json",
    "NuGet.Config .config/gh/hosts.yml sftp-config.json secrets.yml secret.json .secrets passwords.txt config/master.key .bash_history",
  ]
    .join(" ")
    .split(" "),
)("%s looks like a secret", (path) => {
  expect([path, `deep/er/${path}`, path.toUpperCase()].map(looksSecret)).toEqual([true, true, true]);
});

test.each(
  [
    ".env.example .env.sample .env.dist .env.example~ env.ts environment.ts src/env.js id_rsa.pub secrets.example.yml secrets.enc",
    "src/secrets/index.ts src/credentials.service.ts keys.ts keyboard.key.ts tokens.json design.tokens.json history.md a.history",
    "password-reset.tsx passwords.test.ts package.json yarn.lock settings.xml config.json authentication.json README.md~",
    "rsa.c rsa/keys.go kube/config.go terraform.tf main.tf.bak docker/config.yml gradle.properties public.crt",
  ]
    .join(" ")
    .split(" "),
)("%s does not", (path) => {
  expect(looksSecret(path)).toBe(false);
});
