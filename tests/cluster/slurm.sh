#!/usr/bin/env bash
# A real SLURM of two nodes with a GPU each, on this machine alone: no systemd, no cgroups, no accounting.
#
#   tests/cluster/slurm.sh possible   exit status 0 where it can be had, else it says why not
#   tests/cluster/slurm.sh install    Debian's packages, where they are missing
#   tests/cluster/slurm.sh up         writes /etc/slurm/{slurm,gres}.conf, starts the daemons, waits for the nodes
#   tests/cluster/slurm.sh down       stops them and takes their files away
#
# The nodes pose as larger than they are; their GPUs are copies of /dev/null, which SLURM hands out like real ones.
set -euo pipefail

RUN=/tmp/wsis-slurm  # state, logs and the devices
NODES=(n0 n1)
CONF=/etc/slurm  # the jobs that a job starts look nowhere else

possible() {
    [ "$(id -u)" = 0 ] || { echo "a SLURM of its own needs root"; return 1; }
    command -v slurmctld > /dev/null && return
    command -v apt-get > /dev/null || { echo "there is neither slurmctld nor apt-get"; return 1; }
    apt-cache show slurm-wlm > /dev/null 2>&1 || apt-get update -qq > /dev/null 2>&1 || true
    apt-cache show slurm-wlm > /dev/null 2>&1 || { echo "there is no package slurm-wlm"; return 1; }
}

install() {
    if ! command -v slurmctld munged > /dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null
    fi
}

configure() {
    local host; host=$(hostname -s)
    if [ -e $CONF/slurm.conf ] && ! grep -q "$RUN" $CONF/slurm.conf; then
        echo "$CONF/slurm.conf belongs to another cluster; it is left alone" >&2
        exit 1
    fi
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
MinJobAge=300
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
        [ $SECONDS -lt $end ] || { echo "this never came true: $*" >&2; exit 1; }
        sleep 0.2
    done
}

greets() { munge -n | unmunge; }

all_idle() { [ "$(sinfo -h -N -o '%T' | grep -c '^idle$')" = ${#NODES[@]} ]; }

up() {
    if ! greets > /dev/null 2>&1; then
        mkdir -p /run/munge /var/log/munge /var/lib/munge
        chown munge:munge /run/munge /var/log/munge /var/lib/munge
        chmod 755 /run/munge
        runuser -u munge -- /usr/sbin/munged
        wait_for 10 greets
    fi
    configure
    slurmctld
    local node
    for node in "${NODES[@]}"; do slurmd -N "$node"; done
    wait_for 60 all_idle
}

stop() { # the process whose number a file holds
    local number; number=$(cat "$1" 2> /dev/null) || return 0
    kill "$number" 2> /dev/null || return 0
    for _ in $(seq 50); do kill -0 "$number" 2> /dev/null || return 0; sleep 0.1; done
    kill -9 "$number" 2> /dev/null || true
}

down() {
    [ -d $RUN ] || return 0
    timeout 10 scancel --user=root 2> /dev/null || true
    wait_for 20 test -z "$(timeout 5 squeue -h -t R,CG 2> /dev/null)" || true
    local file
    for file in $RUN/slurmd.*.pid $RUN/slurmctld.pid; do stop "$file"; done
    rm -rf $RUN $CONF/slurm.conf $CONF/gres.conf
}

case "${1:-}" in
    possible | install | up | down) "$1" ;;
    *) echo "usage: $0 possible|install|up|down" >&2; exit 2 ;;
esac
