const KEY = "claudecluster-key";
const CODE = /^#code=([\w-]+)$/;

/** Returns what this page keeps and shows with each call, beside its cookie. Undefined: nobody has signed in here. */
export function storedKey(): string | undefined {
  return localStorage.getItem(KEY) ?? undefined;
}

/**
 * Swaps the code in the address, if there is one, for a cookie and a key, and takes it out of the address at once. Returns
 * whether the page may call now, as far as it knows.
 */
export async function signIn(): Promise<boolean> {
  const code = CODE.exec(location.hash)?.[1];
  if (code === undefined) return storedKey() !== undefined;
  history.replaceState(null, "", "#/");
  const answer = await fetch("/sign-in", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code }),
  });
  if (!answer.ok) return false;
  const { key } = (await answer.json()) as { key: string };
  localStorage.setItem(KEY, key);
  return true;
}
