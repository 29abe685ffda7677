#!/usr/bin/env bash
# Installs what building, testing and checking Sextant needs, from Debian 12's own packages.
#
#   deploy/install-deps.sh             everything
#   deploy/install-deps.sh --runtime   only the libraries that the finished binaries load
#   deploy/install-deps.sh --peers     what `make bench-full` compares with on top of everything; no service is started
#   deploy/install-deps.sh --fuzz      what `make fuzz` needs on top of everything (clang, libFuzzer)
#   deploy/install-deps.sh --list      prints the package names, installs nothing
#
# Safe to run again: with everything in place it asks dpkg once and ends. Needs root, or sudo.
set -euo pipefail

compiler=(g++ cmake ninja-build ccache mold pkg-config make git)
# Each library, and after it what its CMake config or headers ask for in turn.
libraries=(
  libgrpc++-dev libgrpc-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
  libabsl-dev libc-ares-dev libre2-dev zlib1g-dev libssl-dev
  librocksdb-dev libgflags-dev libsnappy-dev libzstd-dev liblz4-dev libbz2-dev
  libsqlite3-dev libspdlog-dev libfmt-dev libyaml-cpp-dev libcli11-dev nlohmann-json3-dev libedit-dev
  prometheus-cpp-dev libcurl4-openssl-dev libcivetweb-dev libcpp-httplib-dev libjemalloc-dev
)
testing=(libgtest-dev libgmock-dev libbenchmark-dev sqlite3 python3 clang-format clang-tidy gnuplot-nox e2fsprogs)
fuzzing=(clang-14 libclang-rt-14-dev)
# The databases that bench/peers starts by itself, in folders of its own.
peers=(postgresql-15 libpq-dev mariadb-server-core mariadb-client-core libmariadb-dev etcd-server etcd-client gnuplot-nox)
runtime=(
  libgrpc++1.51 libprotobuf32 libabsl20220623 librocksdb7.8 libsqlite3-0 libspdlog1.10 libyaml-cpp0.7
  libprometheus-cpp-core1.0 libprometheus-cpp-pull1.0 libcpp-httplib0.11 libedit2 libjemalloc2
)

packages=("${compiler[@]}" "${libraries[@]}" "${testing[@]}")
case "${1:-}" in
  "") ;;
  --runtime) packages=("${runtime[@]}") ;;
  --fuzz) packages+=("${fuzzing[@]}") ;;
  --peers) packages+=("${peers[@]}") ;;
  --list) printf '%s\n' "${packages[@]}"; exit 0 ;;
  *) echo "usage: $0 [--runtime | --fuzz | --peers | --list]" >&2; exit 2 ;;
esac

fail() { echo "install-deps: $*" >&2; exit 1; }

command -v dpkg-query >/dev/null || fail "this is no Debian system. Sextant builds on Debian 12 (bookworm);" \
  "elsewhere install the equivalents of: ${packages[*]}"

# dpkg-query lists what it knows; what is not in its answer as installed is missing.
installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^ii *//p') || true
missing=()
for package in "${packages[@]}"; do
  grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "install-deps: all ${#packages[@]} packages are installed"
  exit 0
fi

root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || fail "needs root to install: ${missing[*]}. Run it as root, or install sudo."
  root=(sudo)
fi
. /etc/os-release
[[ "${VERSION_CODENAME:-}" == bookworm ]] ||
  echo "install-deps: made for Debian 12 (bookworm), this is ${PRETTY_NAME:-unknown}; trying anyway" >&2

echo "install-deps: installing ${#missing[@]} packages: ${missing[*]}"
apt() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"; }
apt update || fail "apt-get update failed: is the package archive reachable?"
# Debian starts a service as soon as its package is installed, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [[ "${1:-}" == --peers && ! -e "$policy" ]]; then
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod +x "$policy"
  trap '"${root[@]}" rm -f "$policy"' EXIT
fi
# In a bare image debconf complains that it cannot ask questions; nobody wants to be asked.
apt install -y --no-install-recommends "${missing[@]}" >/dev/null 2> >(grep -v '^debconf:' >&2) ||
  fail "apt-get could not install: ${missing[*]}"
echo "install-deps: done"
