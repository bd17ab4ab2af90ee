# boot.sh: a virtual machine once it has its files, still as its first process. It starts sshd and user data, and
# does with sshd what it is told by a word in /run/init.
read -r name </etc/hostname
echo "$name" >/proc/sys/kernel/hostname
if [ -e /run/passwords ]; then
  chpasswd -c SHA512 </run/passwords
  rm /run/passwords
fi
echo up
(
  exec 3<>/run/init
  if [ "$boot_s" != 0.0 ]; then sleep "$boot_s"; fi
  /usr/sbin/sshd -D -e &
  while read -r word <&3; do
    case $word in
      up) /usr/sbin/sshd -D -e & ;;
      down) kill "$(cat /run/sshd.pid)" ;;
      again) kill -HUP "$(cat /run/sshd.pid)" ;;
    esac
  done
) &
cloud=/var/lib/cloud/instance
if [ -x $cloud/scripts/part-001 ] && [ ! -e $cloud/sem/config_scripts_user ]; then
  mkdir -p $cloud/sem
  touch $cloud/sem/config_scripts_user
  $cloud/scripts/part-001 >/var/log/cloud-init-output.log 2>&1 &
fi
while :; do
  sleep infinity &
  wait $! # and for all whose parents have ended
done
