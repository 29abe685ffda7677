#!/usr/bin/env bash
# Makes the image sextant:local (or the tag given) from the binaries in build/bin, without compiling them
# again. They must have been built on Debian 12; elsewhere build deploy/docker/Dockerfile as it stands.
set -euo pipefail
cd "$(dirname "$0")/../.."
tag="${1:-sextant:local}"

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
for binary in sextant sextant-storage-node sextant-compute-node; do
  strip -o "$context/$binary" "build/bin/$binary"
done
# Old engines print advice about their builder on every build; shown only if the build fails.
quietly() { "$@" >"$context/.log" 2>&1 || { cat "$context/.log" >&2; exit 1; }; }
quietly docker build -q --network host --target runtime -t "$tag-runtime" -f deploy/docker/Dockerfile .
printf 'FROM %s-runtime\nCOPY sextant* /usr/local/bin/\n' "$tag" >"$context/Dockerfile"
quietly docker build -q -t "$tag" "$context"
echo "image: $tag, $(docker image inspect -f '{{.Size}}' "$tag" | numfmt --to=iec)"
