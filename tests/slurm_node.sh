#!/usr/bin/env bash
# A real Slurm on this machine, for the tests: slurm_node.sh start FOLDER | stop FOLDER
# `start` installs Debian's packages if need be (as root) and prints the line to evaluate: export SLURM_CONF=...
# Exit status 77 with a reason where that cannot be done.
set -euo pipefail
action=${1:?start or stop} folder=${2:?a folder for its files}

cannot() { echo "slurm_node.sh: $*" >&2 && exit 77; }

install_packages() {
  command -v slurmctld slurmd munged sbatch >/dev/null && return 0
  [[ $(id -u) == 0 ]] || cannot "Slurm is not installed, and only root could install it"
  command -v apt-get >/dev/null || cannot "Slurm is not installed, and there is no apt-get"
  local log=$folder/apt.log
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    slurm-wlm slurm-client munge; } >"$log" 2>&1 </dev/null || cannot "apt-get failed: $(tail -n 1 "$log")"
}

write_conf() {
  local host cpus memory port=$((20000 + RANDOM % 10000))
  host=$(hostname -s) cpus=$(nproc)
  memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
  cat >"$folder/slurm.conf" <<CONF
ClusterName=timbre
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/ctld
SlurmdSpoolDir=$folder/d
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=5
MaxArraySize=10001
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
}

start_munge() {
  mkdir -p "$folder/munge"
  [[ -f $folder/munge/key ]] || mungekey -c -k "$folder/munge/key"
  chmod 400 "$folder/munge/key"
  munged --force --key-file "$folder/munge/key" --socket "$folder/munge/socket" --log-file "$folder/munge/log" \
    --pid-file "$folder/munge/pid" --seed-file "$folder/munge/seed" 2>"$folder/munge/err" ||
    cannot "munged: $(tail -n 1 "$folder/munge/err")"
}

start() {
  mkdir -p "$folder"/{ctld,d}
  folder=$(cd "$folder" && pwd)
  install_packages
  [[ $(id -u) == 0 ]] || cannot "only root can start slurmd"
  write_conf
  start_munge
  export SLURM_CONF=$folder/slurm.conf
  slurmctld -f "$SLURM_CONF" </dev/null >"$folder/ctld.out" 2>&1 || cannot "slurmctld: $(tail -n 1 "$folder/ctld.out")"
  slurmd -f "$SLURM_CONF" </dev/null >"$folder/d.out" 2>&1 || cannot "slurmd: $(tail -n 1 "$folder/d.out")"
  for _ in {1..100}; do
    if [[ $(sinfo -h -o %T 2>/dev/null) == idle ]]; then
      printf 'export SLURM_CONF=%q\n' "$SLURM_CONF"
      return 0
    fi
    sleep 0.2
  done
  stop
  cannot "the node does not become idle: $(tail -n 1 "$folder/slurmctld.log")"
}

# Whether the process lives; one that only waits to be collected does not.
lives() { [[ -r /proc/$1/status ]] && ! grep -q '^State:.*zombie' "/proc/$1/status"; }

stop() {
  local file pid
  for file in "$folder"/slurmctld.pid "$folder"/slurmd.pid "$folder"/munge/pid; do
    [[ -f $file ]] || continue
    pid=$(<"$file")
    kill "$pid" 2>/dev/null || continue
    for _ in {1..50}; do
      lives "$pid" || break
      sleep 0.1
    done
    ! lives "$pid" || kill -KILL "$pid"
  done
}

case $action in
  start | stop) "$action" ;;
  *) echo "slurm_node.sh: start or stop, not $action" >&2 && exit 1 ;;
esac
