#!/usr/bin/env bash
# snakemake 9.27.1: with --max-jobs-per-timespan 100/20s a workflow of one short job ends twenty seconds late.
#
# Guess: the option limits how many jobs start in a timespan; a workflow of one job does not notice it.
# Seen:  after each look at the jobs a timer is started that wakes the scheduler a timespan later, and Python waits for
#        it at the end, although all is done. With the default, 100/1s, it is a second; with 50/1m, the example of
#        --help, up to a minute. The timer is also why Snakemake looks at the inputs of every job that is ready once a
#        timespan, also while nothing can start: with some hundred jobs ready and one running that took an eighth of
#        a core here.
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
