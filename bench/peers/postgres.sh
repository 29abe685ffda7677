#!/usr/bin/env bash
# PostgreSQL with five standbys, of which three must have flushed a commit: 4 of 6, like Sextant.
#   postgres.sh start DIR PORT   prints the connection string of the primary
#   postgres.sh stop DIR
PATH="/usr/lib/postgresql/15/bin:$PATH"
source "$(dirname "$0")/common.sh"
need initdb pg_basebackup postgres psql
make_folder "$dir"

settings="listen_addresses='127.0.0.1' unix_socket_directories='$dir' max_connections=300 shared_buffers=256MB
  fsync=on full_page_writes=on synchronous_commit=on wal_level=replica max_wal_senders=10 hot_standby=on
  max_wal_size=4GB checkpoint_timeout=30min wal_keep_size=1GB"

run_server() {  # FOLDER PORT
  launch "$1.log" postgres -D "$1" -p "$2"
  await "postgres on port $2" psql -h 127.0.0.1 -p "$2" -U sextant -d postgres -c 'select 1'
}

"${user[@]}" initdb -D "$dir/primary" -U sextant --auth=trust --no-sync -E UTF8 --locale=C >"$dir/initdb.log" 2>&1
printf '%s\n' $settings | paste -sd' ' | sed "s/ \([a-z_]*=\)/\n\1/g" | "${user[@]}" tee -a "$dir/primary/postgresql.conf" >/dev/null
run_server "$dir/primary" "$port"
names=""
copies=()
for i in 1 2 3 4 5; do
  "${user[@]}" pg_basebackup -h 127.0.0.1 -p "$port" -U sextant -D "$dir/standby$i" -R --no-sync -X stream -c fast \
    -d "host=127.0.0.1 port=$port user=sextant application_name=s$i" >"$dir/basebackup$i.log" 2>&1 &
  copies+=($!)
  names+="${names:+, }s$i"
done
for i in 1 2 3 4 5; do
  wait "${copies[i - 1]}" || fail "standby $i got no copy: $(tail -n 3 "$dir/basebackup$i.log")"
  run_server "$dir/standby$i" $((port + i))
done
ask="host=127.0.0.1 port=$port user=sextant dbname=postgres"
psql -q "$ask" -c "alter system set synchronous_standby_names = 'ANY 3 ($names)'" -c 'select pg_reload_conf()' >/dev/null
all_stream() { [[ "$(psql -Atq "$ask" -c "select count(*) from pg_stat_replication where sync_state = 'quorum'")" == 5 ]]; }
await "five standbys" all_stream
echo "$ask"
