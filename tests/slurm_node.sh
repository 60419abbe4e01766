#!/usr/bin/env bash
# A real Slurm on this machine, for the tests: slurm_node.sh start FOLDER [NODES] | stop FOLDER
# `start` installs Debian's packages if need be (as root) and prints the line to evaluate: export SLURM_CONF=...
# Several nodes are several slurmd of this one machine, each with all its cores. `stop-controller FOLDER` and
# `start-controller FOLDER` take the controller away and bring it back. Exit status 77 with a reason where
# something cannot be done.
set -euo pipefail
action=${1:?start or stop} folder=${2:?a folder for its files} nodes=${3:-1}

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
  local host cpus memory port=$((20000 + RANDOM % 10000)) number names=''
  host=$(hostname -s) cpus=$(env -u OMP_NUM_THREADS nproc) # nproc believes that variable
  memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
  cat >"$folder/slurm.conf" <<CONF
ClusterName=timbre
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/ctld
SlurmdSpoolDir=$folder/d.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
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
CONF
  for ((number = 1; number <= nodes; number++)); do
    echo "NodeName=node$number NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + number))" \
      "CPUs=$cpus RealMemory=$memory State=UNKNOWN" >>"$folder/slurm.conf"
    names+=${names:+,}node$number
  done
  echo "PartitionName=main Nodes=$names Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO" >>"$folder/slurm.conf"
}

start_munge() {
  mkdir -p "$folder/munge"
  [[ -f $folder/munge/key ]] || mungekey -c -k "$folder/munge/key"
  chmod 400 "$folder/munge/key"
  munged --force --key-file "$folder/munge/key" --socket "$folder/munge/socket" --log-file "$folder/munge/log" \
    --pid-file "$folder/munge/pid" --seed-file "$folder/munge/seed" 2>"$folder/munge/err" ||
    cannot "munged: $(tail -n 1 "$folder/munge/err")"
}

start_controller() {
  slurmctld -f "$folder/slurm.conf" </dev/null >"$folder/ctld.out" 2>&1 || cannot "slurmctld: $(tail -n 1 "$folder/ctld.out")"
}

start() {
  mkdir -p "$folder/ctld"
  folder=$(cd "$folder" && pwd)
  install_packages
  [[ $(id -u) == 0 ]] || cannot "only root can start slurmd"
  write_conf
  start_munge
  export SLURM_CONF=$folder/slurm.conf
  start_controller
  local number
  for ((number = 1; number <= nodes; number++)); do
    slurmd -N "node$number" -f "$SLURM_CONF" </dev/null >"$folder/d.out" 2>&1 || cannot "slurmd: $(tail -n 1 "$folder/d.out")"
  done
  for _ in {1..300}; do
    if [[ $(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l) == "$nodes" ]]; then
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

# end FILE ...: the processes whose ids stand in these files.
end() {
  local file pid
  for file in "$@"; do
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

# Jobs first: without their slurmd they would go on for ever.
stop() {
  export SLURM_CONF=$folder/slurm.conf
  if [[ -f $folder/slurmctld.pid ]] && lives "$(<"$folder/slurmctld.pid")"; then
    scancel --user="$(id -un)" 2>/dev/null || true
    for _ in {1..75}; do
      [[ -n $(squeue -h 2>/dev/null) ]] || break
      sleep 0.2
    done
  fi
  end "$folder"/slurmctld.pid "$folder"/slurmd.*.pid "$folder"/munge/pid
}

case $action in
  start | stop) "$action" ;;
  stop-controller) end "$folder/slurmctld.pid" ;;
  start-controller) start_controller ;;
  *) echo "slurm_node.sh: start, stop, stop-controller or start-controller, not $action" >&2 && exit 1 ;;
esac
