"""What gets a host ready, as sh: runs the init script once, and tells what there is to run agents with.

Each line that it prints begins with what it is: `|` the last line of the init script's log, `>` a line of its end,
`=NAME VALUE` a fact, `!WHAT …` why it is not ready; `~` it goes on.
"""

from typing import Final

from broker.backends.ssh.shell import FUNCTIONS, PROLOGUE

RUNNER: Final = f"""\
{FUNCTIONS}
umask 022
myself >"$1/pid.new"
mv "$1/pid.new" "$1/pid"
exec 9>&-
. "$1/env"
rm -f "$1/env"
cd "${{HOME:-/}}" || cd /
"$1/script" &
script=$!
(
  trap 'kill $timer 2>/dev/null; exit 0' TERM
  sleep "$2" &
  timer=$!
  wait $timer
  : >"$1/expired"
  kill -KILL -$$
) &
watch=$!
wait $script
code=$?
kill $watch 2>/dev/null
[ $code -ne 0 ] || : >"$1/done"
printf '%s\\n' "$code" >"$1/exit.new"
mv "$1/exit.new" "$1/exit"
"""
"""Leads a process group of its own, so that it and all that it starts outlive the connection and end together.
Its arguments: the directory, and the seconds that the script may take. The lock of who began it is held until it has
said which process it is."""

PREPARE: Final = f"""\
{PROLOGUE}
mkdir -p "$base/agents" "$base/jars" 2>/dev/null && [ -w "$base" ] || {{ echo "!nowhere $base"; exit 0; }}
for tool in setsid flock head tail cut sed; do
  command -v $tool >/dev/null 2>&1 || {{ echo "!missing $tool"; exit 0; }}
done
upload() {{
  head -c "$env_size" >"$init/env" && cat >"$init/script" && chmod 0700 "$init/script" &&
    [ "$(wc -c <"$init/script")" -eq "$script_size" ] && printf '%s' "$nonce" >"$init/nonce"
}}
begin() {{
  set --
  if [ -n "$sudo" ]; then
    sudo -n true 2>"$init/sudo" </dev/null || {{ echo "!sudo $(head -n 1 "$init/sudo")"; return 1; }}
    set -- sudo -n --
  fi
  (: >>"$init/begins") 2>/dev/null || {{ echo "!full $init"; return 1; }}
  exec 9>>"$init/begins"
  flock -n 9 || {{ exec 9>&-; echo "~"; return 1; }}
  if alive "$init/pid" || [ -e "$init/done" ]; then exec 9>&-; return 0; fi
  rm -f "$init/exit" "$init/expired" "$init/pid" "$init/nonce"
  (: >"$init/log") 2>/dev/null && upload || {{ exec 9>&-; rm -f "$init/env"; echo "!full $init"; return 1; }}
  "$@" setsid /bin/sh -c "$runner" agentbroker-init "$init" "$timeout" </dev/null >>"$init/log" 2>&1 &
  tries=0
  until [ -e "$init/pid" ] || [ $tries -ge 100 ]; do sleep 0.05; tries=$((tries + 1)); done
  exec 9>&-
}}
follow() {{
  tries=0 told=
  while alive "$init/pid"; do
    tries=$((tries + 1))
    [ $tries -le 70 ] || {{ echo "~"; return 1; }}
    line=$(tail -n 1 "$init/log" | cut -c1-300)
    [ "$line" = "$told" ] || printf '|%s\\n' "$line"
    told=$line
    if [ $tries -le 10 ]; then sleep 0.1; elif [ $tries -le 20 ]; then sleep 0.5; else sleep 1; fi
  done
  [ ! -e "$init/done" ] || return 0
  tail -n 20 "$init/log" | cut -c1-400 | sed 's/^/>/'
  echo
  if [ -e "$init/exit" ]; then echo "!exit $(cat "$init/exit")"
  elif [ -e "$init/expired" ]; then echo "!expired"
  else echo "!cut"; fi
  return 1
}}
run_init() {{
  init=$base/init/$hash
  case $legacy in "~/"*) legacy=$HOME/${{legacy#"~/"}} ;; esac
  mkdir -p "$init" || {{ echo "!full $init"; return 1; }}
  [ ! -e "$init/done" ] || return 0
  if [ -n "$legacy" ] && [ -e "$legacy" ]; then echo "=init $legacy is there"; return 0; fi
  if ! alive "$init/pid"; then
    [ -e "$init/nonce" ] && [ "$(cat "$init/nonce")" = "$nonce" ] || begin || return 1
  fi
  follow || return 1
  [ -z "$legacy" ] || : >"$legacy" || echo "=init cannot write $legacy"
}}
[ -z "$hash" ] || run_init || exit 0
look() {{
  [ -x "$1" ] || return 0
  real=$(readlink -f "$1") || real=$1
  case $looked in *"|$real|"*) return 0 ;; esac
  looked="$looked|$real|"
  home=${{real%/bin/java}}
  version=
  [ ! -r "$home/release" ] || version=$(sed -n 's/^JAVA_VERSION="\\([^"]*\\)".*/\\1/p' "$home/release" | head -n 1)
  [ -n "$version" ] ||
    version=$("$1" -version 2>&1 </dev/null | sed -n 's/^[^"]*version "\\([^"]*\\)".*/\\1/p' | head -n 1)
  echo "=java ${{version:-unknown}} $1"
}}
looked=
if [ -n "$java" ]; then
  look "$(command -v "$java" 2>/dev/null || echo "$java")"
else
  [ -z "${{JAVA_HOME:-}}" ] || look "$JAVA_HOME/bin/java"
  look "$(command -v java 2>/dev/null)"
  for path in /usr/lib/jvm/*/bin/java /usr/java/*/bin/java /opt/*/bin/java; do look "$path"; done
fi
for name in $engines; do
  path=$(command -v $name 2>/dev/null) || continue
  side=Server
  [ $name = docker ] || side=Client
  if told=$("$path" version --format "{{{{.$side.Version}}}}" 2>&1 </dev/null); then echo "=engine $name $path $told"
  else echo "=broken $name $path: $(printf '%s\\n' "$told" | tail -n 1 | cut -c1-300)"; fi
done
limits=none
if [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ] && command -v systemd-run >/dev/null 2>&1; then
  limits=systemd-run
fi
echo "=limits $limits"
echo "=base $base"
echo "=user $(id -un)"
echo "=arch $(uname -m)"
echo "=ready"
"""
"""Wants $runner $work $folder $hash $nonce $timeout $sudo $legacy $env_size $script_size $java $engines; on its input,
the init script's variables and then the script. Without $hash nothing is run. May be repeated: it joins what runs, and
of two that begin at once one does."""
