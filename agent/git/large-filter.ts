import type { Script } from "./git.ts";

/**
 * Filter of Git LFS for the session's repository, with what there is of it: "clean" makes a pointer of a file and keeps its
 * content in the git directory, "smudge" makes the file of a pointer whose content is there or was in the start. git runs it
 * as Claude's user, and nothing in it is relied on later. It lies beside `start`, lines of a file's SHA-256 and its blob.
 */
export const LARGE_FILTER = `#!/bin/sh
set -e
lfs=\${0%/*}
got=$(mktemp "$lfs/filter.XXXXXX")
trap 'rm -f "$got"' EXIT
cat > "$got"
oid=
if [ "$(head -c 42 "$got" | tr -d '\\000')" = "version https://git-lfs.github.com/spec/v1" ]; then
  oid=$(sed -n 's/^oid sha256:\\([0-9a-f]*\\)$/\\1/p' "$got" | head -n 1)
fi
if [ "$1" = clean ]; then
  if [ -n "$oid" ] || [ ! -s "$got" ]; then exec cat "$got"; fi
  oid=$(sha256sum < "$got" | cut -c1-64)
  size=$(wc -c < "$got")
  if ! grep -q "^$oid " "$lfs/start"; then mkdir -p "$lfs/content" && mv -f "$got" "$lfs/content/$oid"; fi
  printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' "$oid" "$size"
  exit
fi
if [ -n "$oid" ] && [ -f "$lfs/content/$oid" ]; then exec cat "$lfs/content/$oid"; fi
blob=$(grep "^$oid " "$lfs/start" | head -n 1)
if [ -n "$oid" ] && [ -n "$blob" ]; then exec git cat-file blob "\${blob#* }"; fi
cat "$got"
`;

/** Has a session's repository run that filter for files of Git LFS. $1 the attributes, $2 the filter; stdin: the start's such files. */
export const FILTER_LARGE: Script = {
  name: "filter",
  text: `set -e
lfs=$GIT_DIR/lfs
mkdir -p "$lfs"
printf '%s' "$2" > "$lfs/filter"
cat > "$lfs/paths"
cd -- "$GIT_WORK_TREE"
xargs -0 sha256sum -z -- < "$lfs/paths" | cut -z -c1-64 | tr '\\000' '\\n' > "$lfs/sums"
xargs -0 git hash-object --no-filters -- < "$lfs/paths" > "$lfs/blobs"
paste -d ' ' "$lfs/sums" "$lfs/blobs" > "$lfs/start"
rm "$lfs/paths" "$lfs/sums" "$lfs/blobs"
for what in clean smudge; do git config "filter.lfs.$what" "sh '$lfs/filter' $what"; done
printf '%s' "$1" > "$GIT_DIR/info/attributes"`,
};
