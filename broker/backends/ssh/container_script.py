"""Agents as containers of a host's own engine, docker or podman, by its program, as sh."""

from typing import Final

from broker.backends.ssh.shell import FUNCTIONS, PROLOGUE, STARTING

LAUNCH_CONTAINER: Final = f"""\
{PROLOGUE}
cut() {{ echo "!cut"; exit 0; }}
env=$(cat)
case $env in *": end") ;; *) cut ;; esac
mkdir -p "$base/starting" "$base/pulls" || {{ echo "!full $base"; exit 0; }}
{STARTING}said() {{ tail -n 3 | cut -c1-400 | sed 's/^/>/'; }}
look() {{
  format="{{{{.State.Status}}}} {{{{index .Config.Labels \\"$label\\"}}}}"
  "$engine" inspect --type container --format "$format" "$1" 2>&1
}}
if found=$(look "$container"); then
  [ "${{found#* }}" = "$launch" ] || {{ echo "!other"; exit 0; }}
  case $found in
    created\\ * | configured\\ * | initialized\\ *)
      told=$("$engine" start "$container" 2>&1 </dev/null) || {{
        printf '%s\\n' "$told" | said
        echo "!start"
        exit 0
      }} ;;
  esac
  echo "=started"
  exit 0
fi
pull=$base/pulls/$image_id
if ! "$engine" image inspect "$image" >/dev/null 2>&1 </dev/null; then
  if [ -e "$pull.failed" ]; then
    said <"$pull.failed"
    rm -f "$pull.failed"
    echo "!pull"
    exit 0
  fi
  if ! alive "$pull.pid"; then
    setsid /bin/sh -c "$puller" agentbroker-pull "$engine" "$image" "$pull" </dev/null >/dev/null 2>&1 &
    tries=0
    until [ -e "$pull.pid" ] || [ $tries -ge 40 ]; do sleep 0.05; tries=$((tries + 1)); done
  fi
  tries=0
  while alive "$pull.pid" && [ $tries -lt 50 ]; do sleep 0.2; tries=$((tries + 1)); done
  if alive "$pull.pid" || [ -e "$pull.failed" ]; then
    [ ! -e "$pull.log" ] || tail -n 1 "$pull.log" | cut -c1-200 | sed 's/^/>/'
    echo "!pulling"
    exit 0
  fi
fi
eval "set -- $words"
own=$started.env
if told=$(
  own_env=
  eval "$env"
  [ -z "$own_env" ] || printf '%s' "$own_env" >"$own"
  "$engine" run ${{own_env:+--env-file "$own"}} "$@" 2>&1 </dev/null
); then echo "=started"; else
  printf '%s\\n' "$told" | said
  found=$(look "$container") || {{ echo "!run"; exit 0; }}
  case $found in
    created\\ * | configured\\ * | initialized\\ *)
      "$engine" rm -f -v "$container" >/dev/null 2>&1 </dev/null
      echo "!run"
      ;;
    *\\ "$launch") echo "=started" ;;
    *) echo "!other" ;;
  esac
fi
"""
"""Wants $work $folder $engine $container $launch $label $image $image_id $puller $words; on its input, what sets the
container's variables, and $own_env with those that go by a file, then `: end`. An image that must be fetched is fetched
beside it, once for all that wait."""

PULLER: Final = f"""\
{FUNCTIONS}
pull=$3
myself >"$pull.pid"
if "$1" pull "$2" >"$pull.log" 2>&1; then rm -f "$pull.failed"; else mv "$pull.log" "$pull.failed"; fi
rm -f "$pull.pid"
"""
"""Its arguments: the engine, the image, and where it notes itself and what the engine says."""
