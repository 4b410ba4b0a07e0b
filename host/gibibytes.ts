/** Returns a number of bytes in GiB, with one decimal: "6.5 GiB". */
export function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
