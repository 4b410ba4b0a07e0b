/**
 * Compares two versions as semver orders them: negative if `a` is older. A pre-release is older than
 * its release; what is no number counts as text.
 */
export function compareVersions(a: string, b: string): number {
  const [coreA, preA] = split(a);
  const [coreB, preB] = split(b);
  const core = compareParts(coreA, coreB);
  if (core !== 0) return core;
  if (preA === undefined || preB === undefined) return (preA === undefined ? 1 : 0) - (preB === undefined ? 1 : 0);
  return compareParts(preA, preB);
}

function split(version: string): [core: string[], preRelease: string[] | undefined] {
  const [, core = "", pre] = /^v?([^-+]*)(?:-([^+]*))?/.exec(version) ?? [];
  return [core.split("."), pre?.split(".")];
}

function compareParts(a: string[], b: string[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const [left, right] = [a[index], b[index]];
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    const [numberLeft, numberRight] = [Number(left), Number(right)];
    const order =
      Number.isNaN(numberLeft) || Number.isNaN(numberRight)
        ? left < right
          ? -1
          : Number(left > right)
        : numberLeft - numberRight;
    if (order !== 0) return order;
  }
  return 0;
}
