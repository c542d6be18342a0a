# Sourced by centre.sh: Grid Engine's qmaster on the login node.
export SGE_ROOT=/var/lib/gridengine SGE_CELL=default
FORMS=$(mktemp -d)
chown sgeadmin "$FORMS"

master() {
  echo "$LOGIN" >$SGE_ROOT/default/common/act_qmaster
  chown -R sgeadmin $SGE_ROOT/default # qmaster rewrites act_qmaster as sgeadmin, and dies without a word if it can't
  install -d -o sgeadmin -g sgeadmin /run/gridengine /var/spool/gridengine/{qmaster,qmaster/job_scripts,spooldb,execd}
  as_admin "/usr/share/gridengine/scripts/init_cluster $SGE_ROOT default /var/spool/gridengine/spooldb sgeadmin" >/dev/null
  SGE_QMASTER_PIDFILE=/run/gridengine/qmaster.pid sge_qmaster
  retry 200 qconf -sh
}

as_admin() { su -s /bin/sh sgeadmin -c "SGE_ROOT=$SGE_ROOT $*"; }
configure() { as_admin "qconf $*" >>/var/log/qconf.log 2>&1 || { tail -n 3 /var/log/qconf.log >&2; false; }; }

resources() { # both consumables are per slot, as most sites have them
  qconf -sc >"$FORMS/complex"
  echo "gpu gpu INT <= YES YES 0 0" >>"$FORMS/complex"
  sed -i 's/^h_vmem .*/h_vmem h_vmem MEMORY <= YES YES 4G 0/' "$FORMS/complex"
  configure -Mc "$FORMS/complex"
}

hosts() {
  configure -as "$LOGIN"
  configure -ah "$LOGIN,${NODES// /,}"
  for node in $NODES; do
    cat >"$FORMS/$node" <<END
hostname $node
load_scaling NONE
complex_values slots=$CORES,gpu=$GPUS,h_vmem=${MEMORY}M
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
END
    configure -Ae "$FORMS/$node"
  done
  printf 'group_name @allhosts\nhostlist %s\n' "$NODES" >"$FORMS/group"
  configure -Ahgrp "$FORMS/group"
}

queues() {
  cat >"$FORMS/smp" <<'END'
pe_name smp
slots 9999
user_lists NONE
xuser_lists NONE
start_proc_args /bin/true
stop_proc_args /bin/true
allocation_rule $pe_slots
control_slaves FALSE
job_is_first_task TRUE
urgency_slots min
accounting_summary TRUE
qsort_args NONE
END
  configure -Ap "$FORMS/smp"
  { cat <<END
qname all.q
hostlist @allhosts
seq_no 0
load_thresholds NONE
suspend_thresholds NONE
nsuspend 1
suspend_interval 00:05:00
priority 0
min_cpu_interval 00:05:00
processors UNDEFINED
qtype BATCH INTERACTIVE
ckpt_list NONE
pe_list smp
rerun FALSE
slots $CORES
tmpdir /tmp
shell /bin/bash
shell_start_mode unix_behavior
notify 00:00:60
initial_state default
END
    for key in prolog epilog starter_method suspend_method resume_method terminate_method owner_list user_lists xuser_lists \
      subordinate_list complex_values projects xprojects calendar; do echo "$key NONE"; done
    for limit in rt cpu fsize data stack core rss vmem; do printf 's_%s INFINITY\nh_%s INFINITY\n' $limit $limit; done
  } >"$FORMS/all.q"
  configure -Aq "$FORMS/all.q"
}

own_groups() { # the nodes share one process table: of two with the same range of group ids, one kills the other's jobs
  first=21000
  for node in $NODES; do
    printf 'gid_range %d-%d\n' $first $((first + 99)) >"$FORMS/$node"
    configure -Aconf "$FORMS/$node"
    first=$((first + 100))
  done
}

quick_answers() { # seconds instead of half-minutes between what happens and what qstat shows
  qconf -ssconf | sed 's/^schedule_interval.*/schedule_interval 0:0:2/; s/^flush_submit_sec.*/flush_submit_sec 1/
    s/^flush_finish_sec.*/flush_finish_sec 1/; s/^max_reservation.*/max_reservation 10/; s/^default_duration.*/default_duration 1:0:0/' \
    >"$FORMS/scheduler"
  configure -Msconf "$FORMS/scheduler"
  qconf -sconf global | sed '1d; s/^load_report_time.*/load_report_time 00:00:05/; s/^max_unheard.*/max_unheard 00:00:20/
    s/flush_time=00:00:15/flush_time=00:00:01/; s#^mailer.*#mailer /bin/true#' >"$FORMS/global"
  configure -Mconf "$FORMS/global"
}

master
resources
hosts
queues
own_groups
quick_answers
