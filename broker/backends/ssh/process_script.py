"""Agents as processes of a host, as sh: started detached, each in a directory of its own.

```
BASE/agents/NAME-ATTEMPT/   made by mkdir
    marks                   whose it is, one NAME=VALUE a line
    secret                  what `-secret @FILE` names
    env                     its variables
    claim                   its leader: number, start, boot; made exclusively, so that one directory runs one agent
    output.log  exit        what it printed; its exit code
    work                    the directory elsewhere that Jenkins works in, if that is the agent's alone
    remote/  tmp/           where it works, and its temporary files
    ending                  there once it was told to end
BASE/agents/.wipe-…         on its way out
BASE/starting/LAUNCH.PID    a launch whose script runs: its number, start, boot
BASE/jars/                  agent.jar of each URL
```
"""

from typing import Final

from broker.backends.ssh.shell import FUNCTIONS, PROLOGUE, STARTING

RUNNER: Final = f"""\
{FUNCTIONS}
began $$ || exit 0
set -C
myself 2>/dev/null >../claim || exit 0
set +C
. ../env
rm -f ../env
trap : TERM INT HUP
jar=$1 url=$2 ca=$3
shift 3
fetch() {{
  if command -v curl >/dev/null 2>&1; then
    curl -fsS ${{ca:+--cacert "$ca"}} --connect-timeout 10 --max-time 120 -o "$2" "$1"
  elif command -v wget >/dev/null 2>&1; then wget -q ${{ca:+--ca-certificate="$ca"}} -T 30 -O "$2" "$1"
  else tries=0; echo "the host has neither curl nor wget"; return 1; fi
}}
get_jar() {{
  [ -z "$(find "$jar" -mmin -10 2>/dev/null)" ] || return 0
  tries=60
  [ ! -e "$jar" ] || tries=1
  until fetch "$url" "$jar.$$"; do
    tries=$((tries - 1))
    if [ $tries -le 0 ]; then
      rm -f "$jar.$$"
      [ ! -e "$jar" ] || return 0
      echo "cannot fetch $url"
      return 1
    fi
    sleep 5
  done
  mv "$jar.$$" "$jar"
}}
code=69
if [ -z "$url" ] || get_jar; then
  "$@"
  code=$?
fi
printf '%s\\n' "$code" >../exit
trap '' TERM
kill -TERM 0
exit "$code"
"""
"""Leads the agent's process group. Its arguments: the path of agent.jar, the URL to fetch it from or nothing, the
certificates for that or nothing, and the agent's own words. It keeps alive to note the exit code, and then asks what is
left of its group to end. A jar that was fetched less than 10 minutes ago is taken as it is; an older one if no other
can be had. Exit code 69 is that of sysexits.h: there is none."""

LAUNCH_PROCESS: Final = f"""\
{PROLOGUE}
cut() {{ echo "!cut"; exit 0; }}
IFS= read -r secret || cut
env=$(cat)
case $env in *": end") ;; *) cut ;; esac
place=$base/agents/$name
mkdir -p "$base/agents" "$base/starting" "$base/jars" || {{ echo "!full $base"; exit 0; }}
{STARTING}write() {{ cat >"$place/.$1.$$" && mv "$place/.$1.$$" "$place/$1"; }}
mkdir "$place" 2>/dev/null || [ -d "$place" ] || {{ echo "!full $place"; exit 0; }}
if [ -r "$place/marks" ] && ! grep -qxF "$mark" "$place/marks"; then echo "!other"; exit 0; fi
if [ ! -e "$place/claim" ]; then
  mkdir -p "$place/remote" "$place/tmp" &&
    printf '%s\\n' "$marks" | write marks &&
    printf '%s\\n' "$secret" | write secret &&
    printf '%s\\n' "$env" | write env &&
    printf '%s' "$ca" | write ca.pem &&
    printf '%s\\n' "$own_work" | write work || {{ rm -rf "$place"; echo "!full $place"; exit 0; }}
  [ -z "$note" ] || printf '%s\\n' "$note" >>"$place/output.log"
  eval "set -- $words"
  mkdir -p "$work_dir" && cd "$place/remote" || {{ rm -rf "$place"; echo "!full $work_dir"; exit 0; }}
  ca_file=
  [ -z "$ca" ] || ca_file=$place/ca.pem
  AGENTBROKER_PLACE=$place/. TMPDIR=$place/tmp setsid /bin/sh -c "$runner" agentbroker-agent \\
    "$jar" "$url" "$ca_file" "$@" </dev/null >>"$place/output.log" 2>&1 &
  tries=0
  until [ -e "$place/claim" ] || [ $tries -ge 100 ]; do sleep 0.05; tries=$((tries + 1)); done
fi
if [ -e "$place/claim" ]; then echo "=started"; else
  tail -n 5 "$place/output.log" | cut -c1-400 | sed 's/^/>/'
  echo "!none"
fi
"""
"""Wants $work $folder $name $launch $mark $marks $own_work $work_dir $note $words $jar $url $ca $runner; on its input,
a line with the secret, then the variables, then `: end`. The same again finds what is there."""
