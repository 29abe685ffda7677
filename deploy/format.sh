#!/usr/bin/env bash
# Formats every C++ file of the repository, or with --check lists those that are not formatted.
# Only clang-format 14 (Debian 12's) counts: other versions break lines elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(clang-format --version 2>/dev/null | sed -nE 's/.*version ([0-9]+).*/\1/p')
if [[ "$version" != 14 ]]; then
  echo "format: skipped, clang-format 14 is wanted and ${version:-none} is here (make setup installs it)"
  exit 0
fi
mode=(-i)
[[ "${1:-}" == --check ]] && mode=(--dry-run -Werror)

mapfile -t files < <(find bench cli common compute-node embedded fault storage-node tests \
  \( -name '*.h' -o -name '*.cc' \) -print | sort)
clang-format "${mode[@]}" "${files[@]}" || { echo "format: run 'make format'" >&2; exit 1; }
echo "format: ${#files[@]} files"
