/**
 * Returns the configuration that leads git to its listener for URLs with these beginnings. The remote's own URL stays
 * in the repository: https://git-scm.com/docs/git-config#Documentation/git-config.txt-urlltbasegtinsteadOf
 */
export function listenerUrls(prefixes: readonly string[], gitPort: number): readonly [key: string, value: string][] {
  return prefixes.map((prefix) => {
    const { protocol, host } = new URL(prefix);
    return [`url.http://127.0.0.1:${gitPort}/${protocol.slice(0, -1)}/${host}/.insteadOf`, prefix];
  });
}
