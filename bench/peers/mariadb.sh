#!/usr/bin/env bash
# MariaDB, semi-synchronous, with five replicas; it can wait for one acknowledgement and no more.
#   mariadb.sh start DIR PORT   prints "HOST PORT" of the source; the replicas use PORT+1 to PORT+5
#   mariadb.sh stop DIR
stop_signal=TERM
source "$(dirname "$0")/common.sh"
need mariadbd mariadb-install-db mariadb
make_folder "$dir"

run_server() {  # NUMBER
  local data="$dir/node$1"
  launch "$data.log" mariadbd --no-defaults --datadir="$data" --port=$((port + $1)) --bind-address=127.0.0.1 \
    --socket="$data.sock" --pid-file="$data.pid" --server-id=$(($1 + 1)) --max-connections=300 \
    --innodb-buffer-pool-size=256M --innodb-log-file-size=512M --innodb-flush-log-at-trx-commit=1 \
    --log-bin=binlog --sync-binlog=1 --binlog-format=ROW --relay-log=relay --skip-name-resolve \
    --rpl-semi-sync-master-enabled=ON --rpl-semi-sync-master-wait-point=AFTER_SYNC \
    --rpl-semi-sync-master-timeout=600000 --rpl-semi-sync-slave-enabled=ON
}
sql() { mariadb --no-defaults -h 127.0.0.1 -P $((port + $1)) -u root -N -e "$2"; }

# All begin with the same, empty data.
"${user[@]}" mariadb-install-db --no-defaults --datadir="$dir/node0" --auth-root-authentication-method=normal \
  --skip-test-db >"$dir/install.log" 2>&1
for i in 1 2 3 4 5; do "${user[@]}" cp -r "$dir/node0" "$dir/node$i"; done
for i in 0 1 2 3 4 5; do run_server "$i"; done
for i in 0 1 2 3 4 5; do await "mariadb on port $((port + i))" sql "$i" 'select 1'; done
for i in 1 2 3 4 5; do
  sql "$i" "change master to master_host='127.0.0.1', master_port=$port, master_user='root', \
            master_use_gtid=slave_pos; start slave"
done
all_follow() { [[ "$(sql 0 "show status like 'Rpl_semi_sync_master_clients'" | cut -f2)" == 5 ]]; }
await "five semi-synchronous replicas" all_follow
echo "127.0.0.1 $port"
