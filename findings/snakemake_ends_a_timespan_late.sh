#!/usr/bin/env bash
# snakemake 9.27.1: with --max-jobs-per-timespan 100/20s a workflow of one short job ends twenty seconds late.
#
# Guess: the option limits how many jobs start in a timespan; it has no effect on a workflow of one job.
# Seen:  each time Snakemake checks the jobs, it starts a timer that wakes the scheduler a timespan later. Python waits
#        for this timer at the end, although all jobs are done: one second with the default, 100/1s, and up to a minute
#        with 50/1m, the example of --help. Because of the timer, Snakemake also checks the inputs of every ready job
#        once per timespan, even if no job can start: with some hundred ready jobs and one running, that took an eighth
#        of a core here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet snakemake==9.27.1
cd "$folder"
printf 'rule one:\n    output: "done.txt"\n    shell: "touch {output}"\n' > Snakefile
run() {
  rm -f done.txt
  before=$(date +%s)
  "$folder/venv/bin/snakemake" done.txt --cores 1 --quiet all "$@"
  echo $(($(date +%s) - before))
}
plain=$(run)
limited=$(run --max-jobs-per-timespan 100/20s)
echo "by default $plain s, with 100/20s $limited s"
[ $((limited - plain)) -ge 12 ] || { echo "changed: the timer is no longer waited for"; exit 1; }
