/** Returns a function that asks again only once the last answer is older than this (ms), or was an error. */
export function cached<T>(maxAgeMs: number, ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  let askedMs = 0;
  return () => {
    if (answer === undefined || Date.now() - askedMs > maxAgeMs) {
      askedMs = Date.now();
      answer = ask();
      answer.catch(() => (answer = undefined));
    }
    return answer;
  };
}
