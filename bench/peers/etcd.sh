#!/usr/bin/env bash
# etcd with six members: a write is on 4 of 6 disks before it is acknowledged.
#   etcd.sh start DIR PORT   prints HOST:PORT of a member that leads; clients PORT.., peers PORT+6..
#   etcd.sh stop DIR
source "$(dirname "$0")/common.sh"
need etcd etcdctl
make_folder "$dir"
export ETCDCTL_API=3

cluster=""
for i in 0 1 2 3 4 5; do cluster+="${cluster:+,}n$i=http://127.0.0.1:$((port + 6 + i))"; done
endpoints=""
for i in 0 1 2 3 4 5; do
  client="http://127.0.0.1:$((port + i))" peer="http://127.0.0.1:$((port + 6 + i))"
  launch "$dir/n$i.log" etcd --name "n$i" --data-dir "$dir/n$i" --listen-client-urls "$client" \
    --advertise-client-urls "$client" --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
    --initial-cluster "$cluster" --initial-cluster-state new --logger zap --quota-backend-bytes 4294967296
  endpoints+="${endpoints:+,}127.0.0.1:$((port + i))"
done
await "etcd" etcdctl --endpoints "$endpoints" endpoint health
# endpoint status: address, id, version, size, is leader, ...
etcdctl --endpoints "$endpoints" endpoint status | awk -F', ' '$5 == "true" { print $1 }'
