# init.sh: the first process of a virtual machine. $home has its files: fstab, and root, which becomes its root.
set -e
mount --all --fstab "$home/fstab"
cd "$home/root"
pivot_root . mnt
umount --lazy /mnt
exec sh /run/boot.sh
