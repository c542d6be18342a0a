# Sourced by centre.sh: OAR's server and PostgreSQL on the login node.

database() {
  install -d -o postgres -g postgres -m 2775 /run/postgresql
  pg_ctlcluster --skip-systemctl-redirect 15 main start
  retry 100 su postgres -c "psql -c 'select 1'"
}

# Without the JOB_RESOURCE_MANAGER and CPUSET lines jobs are plain processes. A job that was being launched or deleted when its server was
# killed answers no deletion: it is given up after JOBDEL_WALLTIME seconds, and its nodes are suspected until somebody heals them.
configuration() {
  sed -i "s/^SERVER_HOSTNAME=.*/SERVER_HOSTNAME=\"$LOGIN\"/
    s/^DB_BASE_PASSWD=.*/DB_BASE_PASSWD=\"oar\"/
    s/^DB_BASE_PASSWD_RO=.*/DB_BASE_PASSWD_RO=\"oar_ro\"/
    s/^JOB_RESOURCE_MANAGER/#&/
    s/^CPUSET_PATH/#&/
    s/^FINAUD_FREQUENCY=.*/FINAUD_FREQUENCY=\"20\"/
    s/^SCHEDULER_JOB_SECURITY_TIME=.*/SCHEDULER_JOB_SECURITY_TIME=\"5\"/
    s/^#JOBDEL_WALLTIME=.*/JOBDEL_WALLTIME=\"75\"/
    s/^LOG_LEVEL=.*/LOG_LEVEL=\"3\"/
    s/^PINGCHECKER_SENTINELLE.*/PINGCHECKER_SENTINELLE_SCRIPT_COMMAND=\"\/usr\/lib\/oar\/sentinelle.pl -t 5 -w 20\"/
    s/^#SUSPECTED_HEALING_EXEC_FILE=.*/SUSPECTED_HEALING_EXEC_FILE=\"\/etc\/oar\/heal\"/" /etc/oar/oar.conf
  sed -i '/^KeepAlive/d; /^UsePrivilegeSeparation/d; /^Protocol/d' /etc/oar/sshd_config
  install -m 755 /dev/stdin /etc/oar/heal <<'HEAL' # alive again once they answer the server's next look at them
#!/bin/sh
cat >/dev/null
PGPASSWORD=oar exec psql -q -h localhost -U oar -d oar -c "update resources set finaud_decision = 'YES' where state = 'Suspected'"
HEAL
  install -o oar -g oar -m 644 /dev/null /var/log/oar.log
  oar-database --create --db-is-local >/var/log/oar-database.log 2>&1
}

resources() { # one resource is one core; the first $GPUS cores of a node have a GPU beside them
  local number=0 node core model
  oarproperty -a gpumodel -c >/dev/null
  oarproperty -a core >/dev/null
  for node in $NODES; do
    for core in $(seq 0 $((CORES - 1))); do
      number=$((number + 1))
      model=none
      [ "$core" -ge "$GPUS" ] || model=$GPU_MODEL
      oarnodesetting -a -h "$node" -p core=$number -p cpuset="$core" -p gpumodel="$model" >/dev/null
    done
  done
}

database
configuration
resources
/usr/sbin/oar-server
