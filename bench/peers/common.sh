# What the scripts of this folder share. Sourced by them.
set -euo pipefail

fail() { echo "$(basename "$0"): $*" >&2; exit 1; }

need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "no $program here: deploy/install-deps.sh --peers installs it"
  done
}

# Database servers refuse to be root. setpriv becomes the program, so its process id is the server's.
user=()
if ((EUID == 0)); then user=(setpriv --reuid=nobody --regid=nogroup --clear-groups); fi

make_folder() {
  [[ ! -e "$1" ]] || fail "$1 exists already"
  mkdir -p "$1"
  if ((EUID == 0)); then chown nobody "$1"; fi
}

# await WHAT COMMAND...: until it succeeds, at most a minute.
await() {
  local what="$1" i
  shift
  for ((i = 0; i < 600; ++i)); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  fail "$what did not come up in a minute"
}

# Runs a server in the background and notes its process in DIR/pids.
launch() {
  local log="$1"
  shift
  setsid "${user[@]}" "$@" >"$log" 2>&1 &
  echo $! >>"$dir/pids"
}

# A process that has ended and that nobody waits for keeps its number: it does not live.
lives() { [[ "$(ps -o stat= -p "$1")" =~ ^[^Z] ]]; }

# Those that do not end by `stop_signal` (a fast, clean shutdown) within ten seconds, all together, are killed.
stop_all() {
  local pid i=0
  [[ -f "$dir/pids" ]] || fail "$dir holds no peer that was started here"
  for pid in $(tac "$dir/pids"); do kill "-${stop_signal:-INT}" "$pid" 2>/dev/null || true; done
  for pid in $(tac "$dir/pids"); do
    while lives "$pid" && ((i++ < 100)); do sleep 0.1; done
    kill -KILL -- "-$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}

action="${1:-}" dir="$(realpath -m "${2:-.}")" port="${3:-0}"
case "$action" in
  start) [[ $# == 3 ]] || fail "usage: $0 start DIR PORT" ;;
  stop) [[ $# == 2 ]] || fail "usage: $0 stop DIR"; stop_all; exit 0 ;;
  *) fail "usage: $0 start DIR PORT | stop DIR" ;;
esac
