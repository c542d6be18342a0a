"""The options of each command of an embedded centre: help texts in Slurm's form, which are also the tables of options.

Lists the options that work, and under "without effect" the options that are accepted because nothing depends on them
here: no node's cores, memory or network are bound to a job, jobs are never requeued, and no other user shares the
machine.
"""

from __future__ import annotations

from collections.abc import Mapping

from .command_options import Manual

HELP = """
Help options:
  -V, --version                   output version information and exit
      --help                      show this help message
      --usage                     display brief usage message
"""
RESOURCES = """
  -A, --account=NAME              charge job to specified account
  -c, --cpus-per-task=N           number of cpus required per task
      --gpus-per-node=[MODEL:]N   gpus required per allocated node
  -G, --gpus=[MODEL:]N            gpus required per job
      --gres=gpu[:MODEL][:N]      required generic resources per node
  -J, --job-name=NAME             name of job
      --mem=SIZE[KMGT]            memory per node; 0: all of it
      --mem-per-cpu=SIZE[KMGT]    memory per allocated cpu
  -N, --nodes=N[-M]               number of nodes on which to run
  -n, --ntasks=N                  number of tasks to run
      --ntasks-per-node=N         number of tasks to invoke on each node
  -p, --partition=NAME            partition requested
  -q, --qos=NAME                  quality of service: normal
  -t, --time=MINUTES              time limit: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S
"""
SBATCH = f"""\
Usage: sbatch [OPTIONS] script [args...]

Batch options:
      --comment=TEXT              arbitrary comment
  -D, --chdir=PATH                working directory of the batch script
  -e, --error=FILE                file for the batch script's standard error
      --export=[ALL,]NAME[=VALUE],...|NONE|NIL   environment variables to export
      --open-mode=append|truncate how to open the output and error files
  -o, --output=FILE               file for the batch script's standard output
      --parsable                  output only the job id
  -Q, --quiet                     suppress informational messages
      --wrap=COMMAND              wrap a command string in a sh script and submit it

Resources:{RESOURCES}
Accepted, without effect:
      --get-user-env[=L|S]        a list in --export gets the login environment anyway
      --no-requeue                jobs are never requeued
      --requeue                   jobs are never requeued
  -v, --verbose                   nothing more to say
{HELP.replace("      --help", "  -h, --help")}"""
SCANCEL = f"""\
Usage: scancel [OPTIONS] [job_id...]
  -A, --account=NAME              act only on jobs charging this account
      --me                        act only on own jobs
  -n, --name=NAMES                act only on jobs with these names
  -p, --partition=NAMES           act only on jobs in these partitions
  -t, --state=STATES              act only on jobs in these states
  -u, --user=NAMES                act only on jobs of these users
  -w, --nodelist=NODES            act only on jobs on these nodes

Accepted, without effect:
  -f, --full                      the whole job is told anyway
  -Q, --quiet                     nothing to be quiet about
  -v, --verbose                   nothing more to say
{HELP}"""
SQUEUE = f"""\
Usage: squeue [OPTIONS]
  -A, --account=NAMES             only jobs of these accounts
  -h, --noheader                  no headers on output
  -j, --jobs[=IDS]                only these jobs
  -l, --long                      long report
      --me                        only own jobs
  -n, --name=NAMES                only jobs with these names
  -o, --format=FORMAT             format specification
  -O, --Format=FORMAT             format specification by long names
  -p, --partition=NAMES           only jobs in these partitions
  -q, --qos=NAMES                 only jobs of these qualities of service
  -S, --sort=FIELDS               fields to sort on, such as P,-t,i
      --start                     print expected start times of pending jobs
  -t, --states=STATES             only jobs in these states; "all" for all
  -u, --user=NAMES                only jobs of these users
  -w, --nodelist=NODES            only jobs on these nodes

Accepted, without effect:
  -a, --all                       no partition is hidden
  -r, --array                     each row is one job anyway
  -v, --verbose                   nothing more to say
{HELP}"""
SINFO = f"""\
Usage: sinfo [OPTIONS]
  -d, --dead                      show only non-responding nodes: none
  -h, --noheader                  no headers on output
  -l, --long                      long output
  -n, --nodes=NODES               report on specific nodes
  -N, --Node                      node-centric format
  -o, --format=FORMAT             format specification
  -O, --Format=FORMAT             format specification by long names
  -p, --partition=NAMES           report on specific partitions
  -R, --list-reasons              list why nodes are down or drained: none is
  -s, --summarize                 report state summary only
  -t, --states=STATES             report on nodes in these states

Accepted, without effect:
  -a, --all                       no partition is hidden
  -e, --exact                     all nodes are alike
  -r, --responding                all nodes respond
  -v, --verbose                   nothing more to say
{HELP}"""
SACCT = f"""\
sacct [<OPTION>]
    Valid <OPTION> values are:
  -a, --allusers                  display jobs of all users
  -A, --accounts=NAMES            only jobs of these accounts
  -b, --brief                     jobid, state, exitcode
      --delimiter=TEXT            what stands between the fields of -p and -P
  -e, --helpformat                print the fields that --format takes
  -E, --endtime=TIME              only jobs submitted before that time
  -j, --jobs=IDS                  only these jobs; ID.batch and ID.N for one step
      --name=NAMES                only jobs with these names
  -n, --noheader                  no headers on output
  -N, --nodelist=NODES            only jobs on these nodes
  -o, --format=FIELDS             fields, each with %WIDTH if wanted
  -p, --parsable                  output separated and ended by '|'
  -P, --parsable2                 output separated by '|'
  -r, --partition=NAMES           only jobs in these partitions
  -S, --starttime=TIME            only jobs that ended after it: now[-N[UNIT]], YYYY-MM-DD[THH:MM[:SS]]
  -u, --user=NAMES                only jobs of these users
  -X, --allocations               only the jobs, not their steps

Accepted, without effect:
  -D, --duplicates                no id is used twice
{HELP}"""
SCONTROL = f"""\
scontrol [<OPTION>] [<COMMAND>]
    Valid <OPTION> values are:
  -o, --oneliner                  one line per record

    Valid <COMMAND> values are:
     ping
     show hostlist NAMES
     show hostnames [HOSTLIST]
     show job [ID]
{HELP}"""
SRUN = f"""\
Usage: srun [OPTIONS...] executable [args...]

In a job, runs the program once for each of its tasks. Outside, submits a job for it and waits.

Parallel run options:
  -D, --chdir=PATH                working directory of the tasks
  -e, --error=FILE                file for standard error: %j job, %s step, %t task, %N node, %x name
      --export=[ALL,]NAME[=VALUE],...|NONE   environment variables to export
  -K, --kill-on-bad-exit[=0|1]    end the step when a task fails
  -l, --label                     prepend the task number to lines of output
  -o, --output=FILE               file for standard output, as for --error
  -Q, --quiet                     suppress informational messages

Resources:{RESOURCES}
Accepted, without effect:
      --cpu-bind=TYPE             cores are not bound
      --distribution=TYPE         tasks fill the nodes in blocks
      --exact                     cores are not bound
      --exclusive[=WHO]           cores are not bound
      --mem-bind=TYPE             memory is not bound
      --mpi=none|pmi2|pmix        no process manager; only "none" is taken
      --overlap                   steps never wait for each other
  -u, --unbuffered                lines are written as they come
  -v, --verbose                   nothing more to say
{HELP.replace("      --help", "  -h, --help")}"""
USAGES = {
    "sbatch": """\
Usage: sbatch [-N nnodes] [-n ntasks] [-c ncpus] [-p partition] [-t minutes]
              [-A account] [-J jobname] [-D path] [-q qos] [-G gpus]
              [-o output] [-e error] [--open-mode=append|truncate]
              [--mem=MB] [--mem-per-cpu=MB] [--gres=list]
              [--gpus-per-node=n] [--ntasks-per-node=n] [--export=names]
              [--comment=name] [--parsable] [--wrap=command] [-Q]
              executable [args...]
""",
    "scancel": """\
Usage: scancel [-A account] [--me] [-n job_name] [-p partition] [-Q]
               [-t PENDING | RUNNING] [-u user_name] [-V] [-v] [-w hosts...]
               [job_id...]
""",
    "squeue": """\
Usage: squeue [-A account] [--job jobid] [-n name] [-o format] [-O Format]
              [-p partitions] [--qos qos] [--sort fields] [--start]
              [-t states] [-u user_name] [--usage] [-w nodes] [-ahlrv]
""",
    "sinfo": """\
Usage: sinfo [-adehlNRrsv] [-t states] [-p partition] [-n nodes]
             [-o format] [-O Format]
""",
    "sacct": "Usage: sacct [options]\n\tUse --help for help\n",
    "scontrol": "Usage: scontrol [-o] [ping | show job [id] | show hostnames [list] | show hostlist names]\n",
    "srun": """\
Usage: srun [-N nnodes] [-n ntasks] [-o out] [-e err] [-c ncpus]
            [-p partition] [-t minutes] [-D path] [--label] [-J jobname]
            [--kill-on-bad-exit] [--export=names] [--mem=MB] [--gres=list]
            executable [args...]
""",
}
MANUALS: Mapping[str, Manual] = {
    "sbatch": Manual("sbatch", USAGES["sbatch"], SBATCH, wrong=255, stops=True),
    "scancel": Manual("scancel", USAGES["scancel"], SCANCEL),
    "squeue": Manual("squeue", USAGES["squeue"], SQUEUE),
    "sinfo": Manual("sinfo", USAGES["sinfo"], SINFO),
    "sacct": Manual("sacct", USAGES["sacct"], SACCT, hint=False),
    "scontrol": Manual("scontrol", USAGES["scontrol"], SCONTROL),
    "srun": Manual("srun", USAGES["srun"], SRUN, wrong=255, stops=True),
}
