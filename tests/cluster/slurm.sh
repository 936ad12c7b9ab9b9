#!/usr/bin/env bash
# A real SLURM of two nodes with a GPU each, on this machine alone: no systemd, no cgroups, no accounting.
#
#   tests/cluster/slurm.sh possible          exit status 0 where it can be had, else it says why not in a line
#   tests/cluster/slurm.sh up                installs it where it is missing, starts it, waits for the nodes
#   tests/cluster/slurm.sh down              stops it and takes its files away
#   tests/cluster/slurm.sh around COMMAND    up, the command, and down whatever became of it; one at a time
#
# The nodes pose as larger than they are; their GPUs are copies of /dev/null, which SLURM hands out like real ones.
set -euo pipefail

RUN=/tmp/wsis-slurm  # state, logs and the devices
NODES=(n0 n1)
PACKAGES=(slurm-wlm munge)
MUNGED=/run/munge/munged.pid
CONF=/etc/slurm  # the jobs that a job starts look nowhere else

possible() {
    [ "$(id -u)" = 0 ] || { echo "a SLURM of its own needs root"; return 1; }
    if ! ours; then
        echo "$CONF/slurm.conf belongs to another cluster"
        return 1
    fi
    installed || fetched || { echo "Debian's packages ${PACKAGES[*]} are neither installed nor to be had"; return 1; }
}

installed() { hash slurmctld slurmd munged 2> /dev/null; }

fetched() {
    local fetch=(apt-get install -y -qq --no-install-recommends --download-only "${PACKAGES[@]}")
    "${fetch[@]}" > /dev/null 2>&1 || { apt-get update -qq && "${fetch[@]}"; } > /dev/null 2>&1
}

install() {
    installed || DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" > /dev/null
}

configure() {
    local host; host=$(hostname -s)
    mkdir -p $RUN/state $CONF
    cat > $CONF/slurm.conf << CONF
ClusterName=wsis
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=$RUN/state
SlurmdSpoolDir=$RUN/spool.%n
SlurmctldPidFile=$RUN/slurmctld.pid
SlurmdPidFile=$RUN/slurmd.%n.pid
SlurmctldLogFile=$RUN/slurmctld.log
SlurmdLogFile=$RUN/slurmd.%n.log
SlurmdParameters=config_overrides
MailProg=/bin/true
SwitchType=switch/none
MpiDefault=none
# without cgroups: who uses too much memory is found by looking every second
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# a test need not be patient
SchedulerParameters=sched_min_interval=100000,bf_interval=1,batch_sched_delay=0
KillWait=2
SlurmdTimeout=20
ReturnToService=2
MinJobAge=7200
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
CONF
    local port=17000 node
    for node in "${NODES[@]}"; do
        mkdir -p "$RUN/spool.$node"
        echo "NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port++)) CPUs=8 CoresPerSocket=8" \
            "RealMemory=64000 Gres=gpu:1 State=UNKNOWN" >> $CONF/slurm.conf
    done
    echo "PartitionName=lab Nodes=n[0-1] Default=YES MaxTime=7-00:00:00 DefaultTime=10 State=UP" >> $CONF/slurm.conf
    # the name of a device has to end in a number
    [ -c $RUN/nvidia0 ] || mknod $RUN/nvidia0 c 1 3
    echo "NodeName=n[0-1] Name=gpu File=$RUN/nvidia0" > $CONF/gres.conf
}

wait_for() { # wait_for SECONDS COMMAND...
    local end=$((SECONDS + $1)); shift
    until "$@" > /dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "this never came true: $*" >&2; return 1; }
        sleep 0.2
    done
}

greets() { munge -n | unmunge; }

all_idle() { [ "$(sinfo -h -N -o '%T' | grep -c '^idle$')" = ${#NODES[@]} ]; }

nothing_runs() { [ -z "$(timeout 10 squeue -h -t R,CG)" ]; }

up() {
    possible
    install
    down # of a run that was killed
    mkdir -p $RUN
    if ! greets > /dev/null 2>&1; then
        mkdir -p /run/munge /var/log/munge /var/lib/munge
        chown munge:munge /run/munge /var/log/munge /var/lib/munge
        chmod 755 /run/munge
        runuser -u munge -- /usr/sbin/munged
        ln -s $MUNGED $RUN/munged.pid # it is ours
        wait_for 60 greets
    fi
    configure
    slurmctld
    local node
    for node in "${NODES[@]}"; do slurmd -N "$node"; done
    wait_for 120 all_idle
}

stop() { # the process whose number a file holds
    local number; number=$(cat "$1" 2> /dev/null) || return 0
    kill "$number" 2> /dev/null || return 0
    for _ in $(seq 100); do kill -0 "$number" 2> /dev/null || return 0; sleep 0.1; done
    kill -9 "$number" 2> /dev/null || true
}

ours() { [ ! -e $CONF/slurm.conf ] || grep -q "$RUN" $CONF/slurm.conf; }

down() {
    [ -d $RUN ] && ours || return 0
    if [ -e $CONF/slurm.conf ] && timeout 10 scancel --user=root 2> /dev/null; then
        wait_for 60 nothing_runs || true
    fi
    local file
    for file in $RUN/slurmd.*.pid $RUN/slurmctld.pid $RUN/munged.pid; do stop "$file"; done
    rm -rf $RUN $CONF/slurm.conf $CONF/gres.conf
}

around() {
    # the daemons must not hold the lock
    [ -n "${ALONE:-}" ] || ALONE=yes exec flock --close $RUN.lock "$0" around "$@"
    trap down EXIT
    up
    "$@"
}

case "${1:-}" in
    possible | up | down | around) "$@" ;;
    *) echo "usage: $0 possible|up|down|around COMMAND" >&2; exit 2 ;;
esac
