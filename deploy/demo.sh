#!/usr/bin/env bash
# make demo: a real cluster of seven processes, real SQL, and the loss of a whole availability zone.
# Prints every command before it runs it. Works in build/demo, and leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."

make --no-print-directory build TARGETS="sextant sextant-storage-node sextant-compute-node"
PATH="$PWD/build/bin:$PATH"
export LC_ALL=C.UTF-8 # a bare container has no locale, and the drawing would fall back to ASCII

folder="$PWD/build/demo"
clean_up() {
  local code=$?
  trap - EXIT
  ((code == 0)) || echo "demo: failed (exit code $code); logs are shown above, or in $folder/sextant-data" >&2
  [[ -d "$folder/sextant-data" ]] && (cd "$folder" && sextant cluster down >/dev/null 2>&1) || true
  ((code == 0)) && rm -rf "$folder"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
if [[ -d "$folder/sextant-data" ]]; then # of a demo that was killed
  (cd "$folder" && sextant cluster down >/dev/null 2>&1) || true
fi
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"

say() { printf '\n# %s\n' "$*"; }
run() {
  local word
  printf '$'
  for word in "$@"; do
    if [[ "$word" =~ [^A-Za-z0-9_.:=/-] ]]; then printf ' "%s"' "$word"; else printf ' %s' "$word"; fi
  done
  printf '\n'
  "$@"
}

# Waits until all six segments take redo again; a minute is generous.
await_six() {
  local deadline=$((SECONDS + 60))
  until sextant cluster status 2>/dev/null | grep -q "6 of 6 segments"; do
    ((SECONDS < deadline)) || { echo "demo: not all six segments stream after 60 s" >&2; return 1; }
    sleep 0.2
  done
}

say "Six storage nodes in three availability zones, and one writer: seven processes."
run sextant cluster up --segment-size 64MiB

say "Real SQL. Each commit is one mini-transaction of redo, durable on four of six segments."
run sextant sql -e "
  CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
  CREATE TABLE album  (id INTEGER PRIMARY KEY, artist INTEGER REFERENCES artist, title TEXT, year INTEGER);
  INSERT INTO artist VALUES (1, 'Nina Simone'), (2, 'Miles Davis'), (3, 'Aretha Franklin');
  INSERT INTO album(artist, title, year) VALUES
    (1, 'Pastel Blues', 1965), (1, 'Wild Is the Wind', 1966), (2, 'Kind of Blue', 1959),
    (2, 'Bitches Brew', 1970), (3, 'Lady Soul', 1968)"
run sextant sql --mode box -e "
  SELECT name, count(*) AS albums, min(year) AS first
  FROM artist JOIN album ON album.artist = artist.id GROUP BY artist.id ORDER BY first"
run sextant cluster status

say "A whole availability zone dies (kill -9). Four of six are left: commits go on."
run sextant cluster kill az2
run sextant sql --mode box -e "
  INSERT INTO album(artist, title, year) VALUES (3, 'Young, Gifted and Black', 1972);
  SELECT count(*) AS albums FROM album"
run sextant cluster status

say "It comes back, and catches up."
run sextant cluster start az2
run sextant sql --mode box -e "SELECT title, year FROM album WHERE artist = 3 ORDER BY year"
await_six
run sextant cluster status

say "Every process is killed at once. What was acknowledged is still there after a restart."
run sextant cluster kill az1 az2 az3 writer
run sextant cluster up
run sextant sql --mode box -e "SELECT count(*) AS albums, max(year) AS newest FROM album"
run sextant cluster down

say "Done."
