/** "https://…", "ssh://…", "git@host:…" */
const NETWORK_URL = /^(?:https?|ssh):\/\/[^\s/]|^[\w.-]+@[\w.-]+:/i;
/** "ID\t\tbranch 'main' of https://…", "ID\tnot-for-merge\thttps://…" */
const FETCH_HEAD_LINE = /^([0-9a-f]+)\t(?:not-for-merge)?\t(?:(?:[a-z-]+ )*'[^'\s]*' of )?(\S+)$/;

/** Returns whether a URL leads out of the container. What comes by a path or a file URL may be of Claude's making. */
export function isNetworkUrl(url: string): boolean {
  return NETWORK_URL.test(url);
}

/**
 * Remotes in a repository's configuration, which Claude may have written. A line that is not understood makes no
 * network remote.
 */
export class Remotes {
  readonly #network = new Map<string, boolean>();

  /** Takes the lines that `git config --get-regexp` writes about the remotes' URLs. */
  constructor(lines: string) {
    for (const line of lines.split("\n")) {
      const [, name, url = ""] = /^remote\.(\S+)\.url (.*)$/.exec(line) ?? [];
      if (name !== undefined) this.#network.set(name, this.#network.get(name) !== false && isNetworkUrl(url));
    }
  }

  /** Returns whether a remote, by its name or URL, leads out of the container. */
  isNetwork(remote: string): boolean {
    return this.#network.get(remote) ?? isNetworkUrl(remote);
  }

  /** Returns whether a ref is a remote-tracking branch of a network remote. */
  tracks(ref: string): boolean {
    const owners = [...this.#network].filter(([name]) => ref.startsWith(`refs/remotes/${name}/`));
    return owners.length > 0 && owners.every(([, network]) => network);
  }
}

/** Returns the ids in a FETCH_HEAD that came over the network. */
export function fetchedByNetwork(fetchHead: string): string[] {
  return fetchHead.split("\n").flatMap((line) => {
    const [, id, url] = FETCH_HEAD_LINE.exec(line) ?? [];
    return id !== undefined && url !== undefined && isNetworkUrl(url) ? [id] : [];
  });
}
