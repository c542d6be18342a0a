# Sourced by centre.sh: munge, MariaDB, slurmdbd and slurmctld on the login node, all at their default paths.

munge() {
  (umask 077 && head -c 1024 /dev/urandom >/etc/munge/munge.key)
  chown munge: /etc/munge/munge.key
  install -d -m 755 -o munge -g munge /run/munge /var/log/munge
  install -d -m 711 -o munge -g munge /var/lib/munge
  su -s /bin/sh munge -c /usr/sbin/munged
}

configuration() {
  install -d -m 755 -o slurm -g slurm /run/slurm /var/log/slurm /var/spool/slurmctld
  install -d -m 755 /var/spool/slurmd
  for number in $(seq 0 $((GPUS - 1))); do mknod -m 666 "/run/fakegpu$number" c 1 3; done # File= gives jobs CUDA_VISIBLE_DEVICES
  echo "Name=gpu Type=$GPU_MODEL File=/run/fakegpu[0-$((GPUS - 1))]" >/etc/slurm/gres.conf
  echo "CgroupPlugin=cgroup/v1" >/etc/slurm/cgroup.conf # unused, but slurmd 22.05 does not start without a version
  cat >/etc/slurm/slurm.conf <<END
ClusterName=$CLUSTER
SlurmctldHost=$LOGIN
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd/%n
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd-%n.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=10
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
SlurmdParameters=config_overrides
CommunicationParameters=NoCtldInAddrAny
ReturnToService=2
SlurmdTimeout=20
MessageTimeout=5
KillWait=5
MinJobAge=300
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,bf_resolution=60,sched_min_interval=100000
PriorityType=priority/multifactor
GresTypes=gpu
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStorageTRES=gres/gpu
NodeName=${NODES// /,} CPUs=$CORES Boards=1 SocketsPerBoard=2 CoresPerSocket=$((CORES / 2)) ThreadsPerCore=1 RealMemory=$MEMORY Gres=gpu:$GPU_MODEL:$GPUS State=UNKNOWN
PartitionName=batch Nodes=ALL Default=YES MaxTime=1-00:00:00 DefaultTime=10 State=UP
PartitionName=debug Nodes=${NODES%% *} MaxTime=30 DefaultTime=5 PriorityTier=10 State=UP
$MORE_SLURM_CONF
END
}

database() { # Debian has initialised /var/lib/mysql; the overlay gives each centre its copy
  install -d -o mysql -g mysql /run/mysqld
  setsid mariadbd --no-defaults --user=mysql --datadir=/var/lib/mysql --socket=/run/mysqld/mysqld.sock --skip-networking \
    --pid-file=/run/mysqld/mysqld.pid --innodb-buffer-pool-size=32M --innodb-log-file-size=8M --innodb-lock-wait-timeout=900 \
    --innodb-flush-log-at-trx-commit=0 --performance-schema=off --max-connections=40 >/var/log/mariadb.log 2>&1 </dev/null &
  retry 300 mariadb -e 'select 1'
  mariadb -e "create database if not exists slurm_acct_db; create user if not exists slurm@localhost identified via unix_socket;
    grant all on slurm_acct_db.* to slurm@localhost"
  (umask 077 && cat >/etc/slurm/slurmdbd.conf) <<END
AuthType=auth/munge
DbdHost=$LOGIN
DbdAddr=localhost
SlurmUser=slurm
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
LogFile=/var/log/slurm/slurmdbd.log
PidFile=/run/slurm/slurmdbd.pid
$MORE_SLURMDBD_CONF
END
  chown slurm: /etc/slurm/slurmdbd.conf
  su -s /bin/sh slurm -c /usr/sbin/slurmdbd
  retry 300 sacctmgr -n show cluster
}

associations() {
  sacctmgr -i add cluster "$CLUSTER" >/dev/null
  sacctmgr -i add account research Cluster="$CLUSTER" Description=research Organization=research >/dev/null
  sacctmgr -i add user "$PEOPLE" Cluster="$CLUSTER" Account=research >/dev/null
  sacctmgr -i add user scnet Cluster="$CLUSTER" Account=research AdminLevel="$ADMIN_LEVEL" >/dev/null
}

munge
configuration
database
associations
/usr/sbin/slurmctld # drops to SlurmUser itself
retry 100 scontrol ping
