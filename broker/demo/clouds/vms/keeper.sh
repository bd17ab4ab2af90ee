# keeper.sh DIRECTORY CGROUP: holds the namespaces of a cloud's virtual machines until its own input ends.
# Its input ends also when the one that started it is killed; then all that runs in them is killed by the kernel, and
# nothing is left: no process, mount, interface, control group or file.
directory=$1 group=$2
setpriv --pdeathsig KILL unshare --pid --mount --net --fork --kill-child --mount-proc sh -c '
  set -e
  mount -t tmpfs -o mode=755 tmpfs "$0"
  ip -batch - <<BATCH
link set lo up
link add br0 type bridge
link set br0 up
BATCH
  echo ready
  sleep infinity & wait' "$directory" </dev/null &
keeper=$!
echo "keeper $keeper"
exec >/dev/null 2>&1 # who reads what the keeper says sees its end
cat
kill -KILL $keeper
wait $keeper
for place in /sys/fs/cgroup/*/"$group" /sys/fs/cgroup/"$group"; do
  [ -d "$place" ] || continue
  for try in 1 2 3 4 5 6 7 8 9 10; do # the last processes of a group may still be on their way out
    find "$place" -depth -type d -exec rmdir {} + && break
    sleep 0.1
  done
done
rm -rf "$directory"
