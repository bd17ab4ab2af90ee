"""What there is of our agents on a host, and their end, as sh.

`LOOK` prints for each directory `@NAME`, its marks as `=NAME=VALUE`, `#STATE CODE`, and of one that has ended `|` and
its last lines; for each container `%` and a line of JSON values, and its last lines.
"""

from typing import Final

from broker.backends.ssh.shell import PROLOGUE

_MARKED: Final = """\
marked() {
  for file in $(grep -lF "AGENTBROKER_PLACE=$1/." /proc/[0-9]*/environ 2>/dev/null); do
    file=${file%/environ}
    file=${file#/proc/}
    [ "$file" = $$ ] || echo "$file"
  done
}
"""
"""The processes that carry an agent's directory in their environment, wherever they have got to."""

LOOK: Final = f"""\
{PROLOGUE}
{_MARKED}
lines() {{
  secret=
  [ ! -r "$1/secret" ] || read -r secret <"$1/secret"
  [ -r "$1/output.log" ] || return 0
  tail -n 20 "$1/output.log" | cut -c1-400 | while IFS= read -r line || [ -n "$line" ]; do
    if [ -n "$secret" ]; then
      while :; do
        case $line in *"$secret"*) line=${{line%%"$secret"*}}***${{line#*"$secret"}} ;; *) break ;; esac
      done
    fi
    printf '|%s\\n' "$line"
  done
}}
for place in "$base"/agents/*/; do
  place=${{place%/}}
  [ -d "$place" ] || continue
  echo "@${{place##*/}}"
  sed 's/^/=/' "$place/marks" 2>/dev/null
  code=-
  [ ! -r "$place/exit" ] || read -r code <"$place/exit"
  if [ -e "$place/ending" ]; then echo "#ending $code"
  elif alive "$place/claim"; then echo "#running -"
  elif [ ! -e "$place/claim" ]; then echo "#made -"
  elif [ "$code" = - ] && [ -n "$(marked "$place")" ]; then echo "#running -"
  else
    echo "#ended $code"
    lines "$place"
  fi
done
for place in "$base"/agents/.wipe-*/; do
  place=${{place%/}}
  [ -d "$place" ] || continue
  echo "@${{place##*/.wipe-}}"
  sed 's/^/=/' "$place/marks" 2>/dev/null
  echo "#wiping -"
  [ ! -r "$place.words" ] || tail -n 1 "$place.words" | cut -c1-300 | sed 's/^/|/'
done
[ -z "$engine" ] || {{
  if names=$("$engine" ps --all --filter "label=$label" --format '{{{{.Names}}}}' 2>&1 </dev/null); then
    for name in $names; do
      told=$("$engine" inspect --type container --format "$format" "$name" 2>/dev/null </dev/null) || continue
      printf '%%%s\\n' "$told"
      case $told in
        '["exited"'* | '["dead"'* | '["stopped"'*)
          "$engine" logs --tail 20 "$name" 2>&1 </dev/null | cut -c1-4000 | sed 's/^/|/'
          echo
          ;;
      esac
    done
  else printf '!engine %s\\n' "$(printf '%s\\n' "$names" | tail -n 1 | cut -c1-300)"; fi
}}
echo "=looked"
"""
"""Wants $work $folder $engine $label $format. Without $engine there are no containers to look for."""

FORMAT: Final = (
    "[{{json .State.Status}}, {{json .Name}}, {{json .State.ExitCode}}, {{json .State.OOMKilled}}, "
    "{{json .HostConfig.Memory}}, {{json .State.StartedAt}}, {{json .State.FinishedAt}}, {{json .State.Error}}, "
    "{{json .Config.Labels}}, {{json .Config.Env}}, {{json .Config.Cmd}}]"
)
"""The same of docker and of podman, one line a container."""

FIND: Final = f"""\
{PROLOGUE}
for file in "$base"/starting/"$launch".*; do
  [ -e "$file" ] || continue
  case $file in *.env) continue ;; esac
  if alive "$file"; then echo "!starting"; else rm -f "$file" "$file.env"; fi
done
for file in "$base"/agents/*/marks "$base"/agents/.wipe-*/marks; do
  [ ! -r "$file" ] || ! grep -qxF "$mark" "$file" || {{
    file=${{file%/marks}}
    file=${{file##*/}}
    echo "@${{file#.wipe-}}"
  }}
done
[ -z "$engine" ] || {{
  if names=$("$engine" ps --all --filter "label=$mark" --format '{{{{.Names}}}}' 2>&1 </dev/null); then
    for name in $names; do echo "%$name"; done
  else printf '!engine %s\\n' "$(printf '%s\\n' "$names" | tail -n 1 | cut -c1-300)"; fi
}}
echo "=looked"
"""
"""Wants $work $folder $engine $launch $mark: whether there is anything of a launch, or it is just being made."""

END: Final = f"""\
{PROLOGUE}
{_MARKED}
end() {{
  place=$base/agents/$1 gone=$base/agents/.wipe-$1
  if [ -d "$place" ]; then
    stop "$place" || return 0
    [ ! -e "$gone" ] || rm -rf -- "$gone"
    mv "$place" "$gone"
  fi
  [ -d "$gone" ] || return 0
  setsid /bin/sh -c "$remover" agentbroker-wipe "$gone" "${{1%-*}}" </dev/null >/dev/null 2>&1 &
  tries=0
  while [ -d "$gone" ] && [ $tries -lt 20 ]; do sleep 0.05; tries=$((tries + 1)); done
}}
stop() {{
  [ -e "$1/ending" ] || : >"$1/ending"
  signal=TERM
  [ $(($(date +%s) - $(date -r "$1/ending" +%s))) -lt "$grace" ] || signal=KILL
  tries=0
  while :; do
    left=$(marked "$1")
    if alive "$1/claim"; then left="$left $pid"; kill -$signal "-$pid" 2>/dev/null; fi
    [ -n "$left" ] || return 0
    kill -$signal $left 2>/dev/null
    [ $tries -lt 10 ] || return 1
    tries=$((tries + 1))
    sleep 0.1
  done
}}
for name in $names; do end "$name"; done
[ -z "$engine" ] || for name in $containers; do
  "$engine" inspect --type container --format "{{{{.Name}}}}" "$name" >/dev/null 2>&1 </dev/null || continue
  told=$("$engine" rm --force --volumes "$name" 2>&1 </dev/null) || printf '>%s\\n' "$told" | cut -c1-300
done
echo "=ended"
"""
"""Wants $work $folder $engine $names $containers $grace $remover: asks the processes to end, after the grace ends them,
and with none left deletes what they had, beside it if that takes long. One step each time; nothing for what is gone."""

REMOVER: Final = """\
own=
[ ! -r "$1/work" ] || read -r own <"$1/work"
case $own in
  /*/"$2")
    rm -rf -- "$own" 2>/dev/null || { chmod -R u+rwX -- "$own"; rm -rf -- "$own"; }
    ;;
esac
rm -rf -- "$1" 2>/dev/null || { chmod -R u+rwX -- "$1"; rm -rf -- "$1" 2>"$1.words"; }
[ -e "$1" ] || rm -f -- "$1.words"
"""
"""Its arguments: the directory, and the agent's name. Builds leave directories that even their owner may not write."""

WIPE: Final = f"""\
{PROLOGUE}
[ -d "$base" ] || {{ echo "=wiped"; exit 0; }}
rmdir "$base/agents" 2>/dev/null
[ ! -d "$base/agents" ] || {{ echo "!left"; exit 0; }}
rm -rf -- "$base/jars" "$base/pulls" "$base/starting"
rm -f -- "$base"/init/*/script "$base"/init/*/env "$base"/init/*/log
rmdir "$base" 2>/dev/null
echo "=wiped"
"""
"""Wants $work $folder. What says that an init script was run on this machine stays."""
