#!/usr/bin/env bash
# Does something to a whole availability zone of the compose cluster: every container with the label
# sextant.az=AZ.
#
#   deploy/az.sh stop|start|kill|pause|unpause|cut|heal AZ
#
# cut takes the zone's containers off the region network (they run on, and reach nobody); heal puts them
# back under their names. COMPOSE_PROJECT_NAME chooses the cluster (default: sextant).
set -euo pipefail

usage() { sed -nE '2,8s/^# ?//p' "$0" >&2; exit 2; }
(($# == 2)) || usage
verb="$1" az="$2" project="${COMPOSE_PROJECT_NAME:-sextant}" network="${COMPOSE_PROJECT_NAME:-sextant}_region"

mapfile -t containers < <(docker ps -aq --filter "label=com.docker.compose.project=$project" --filter "label=sextant.az=$az")
((${#containers[@]} > 0)) || { echo "az: no container of project $project is labelled sextant.az=$az" >&2; exit 1; }

for container in "${containers[@]}"; do
  service=$(docker inspect -f '{{index .Config.Labels "com.docker.compose.service"}}' "$container")
  case "$verb" in
    stop | start | kill | pause | unpause) docker "$verb" "$container" >/dev/null & ;;
    cut) docker network disconnect "$network" "$container" ;;
    heal) docker network connect --alias "$service" "$network" "$container" ;;
    *) usage ;;
  esac
  echo "az: $verb $service"
done
wait
