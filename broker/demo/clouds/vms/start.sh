# start.sh HOME GROUP LINK: begins one virtual machine within the keeper's namespaces; its files come as a tar on input.
# $address, $public, $gateway and $mac say its network.
set -e
home=$1 group=$2 link=$3
for place in /sys/fs/cgroup/*/"$group" /sys/fs/cgroup/"$group"; do
  if [ -d "$place" ]; then echo 0 >"$place/cgroup.procs"; fi
done
if [ -d "$home" ]; then # not the first boot
  rm -rf "$home/root/run" "$home/root/dev"
else
  mkdir "$home"
fi
tar -x --same-owner --same-permissions --numeric-owner -f - -C "$home"
exec 9</proc/self/ns/net </dev/null
export home link
exec unshare --net sh -ec '
  nsenter --net=/proc/self/fd/9 ip -batch - <<BATCH
link add $link type veth peer name eth0 address $mac netns $$
link set $link master br0 up
BATCH
  exec 9<&-
  echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_notify # who had its address before is forgotten
  ip -batch - <<BATCH
link set lo up
address add $address dev eth0
${public:+address add $public/32 dev eth0}
link set eth0 up
route add default via $gateway dev eth0
BATCH
  exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child sh "$0/init.sh"' "${0%/*}"
