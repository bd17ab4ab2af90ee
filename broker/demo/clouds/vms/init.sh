# init.sh: makes the file system of a virtual machine, as its first process. $home has its files: root, and up and
# work for what it changes of the machine outside in its own /usr and /etc. Input: a tar over its root, with what it
# does next: boot.sh.
set -e
root=$home/root
mkdir -p "$root" "$home/up/usr" "$home/work/usr" "$home/up/etc" "$home/work/etc"
mount --bind "$root" "$root"
cd "$root"
mkdir -p usr etc proc sys dev run tmp root home var/log var/tmp var/cache var/lib/containers var/spool opt srv mnt old
[ -e bin ] || for link in bin sbin lib lib32 lib64 libx32; do
  if [ -e /$link ]; then cp -a /$link .; fi
done
chmod 1777 tmp var/tmp
chmod 700 root
[ -e var/run ] || ln -s /run var/run
mount -t overlay -o "lowerdir=/usr,upperdir=$home/up/usr,workdir=$home/work/usr" overlay usr
mount -t overlay -o "lowerdir=/etc,upperdir=$home/up/etc,workdir=$home/work/etc" overlay etc
for path in $hidden; do
  if [ -d "$path" ]; then mount -t tmpfs -o ro tmpfs "$path"; else rm -f "$path"; fi
done
if [ -n "$java" ]; then # the machine's Java is elsewhere than in /usr
  mkdir -p opt/java
  mount --bind "$java" opt/java
  ln -sf /opt/java/bin/java usr/bin/java
fi
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev/
mkdir dev/pts dev/shm dev/mqueue run/sshd run/lock
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
if [ "$cgroups" = unified ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mkdir -p sys/fs/cgroup/init # a group that has processes gives its children no controllers
  echo 0 >sys/fs/cgroup/init/cgroup.procs
  for name in $(cat sys/fs/cgroup/cgroup.controllers); do
    echo "+$name" >sys/fs/cgroup/cgroup.subtree_control || true
  done
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  echo "$cgroups" | while read -r name options; do
    mkdir "sys/fs/cgroup/$name"
    mount -t cgroup -o "$options" cgroup "sys/fs/cgroup/$name"
  done
fi
tar -x --same-owner --same-permissions --numeric-owner -f - -C .
pivot_root . old
umount -l /old
rmdir /old
exec </dev/null
exec sh /run/boot.sh
