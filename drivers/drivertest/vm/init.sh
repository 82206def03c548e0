#!/bin/sh
# Process 1 of the test VM: makes it a small host, runs /vm/command, tells its
# status on the second serial line and turns the machine off.
export PATH=/bin HOME=/root LC_ALL=C.UTF-8

# The first root of a kernel cannot be left by pivot_root, as containers do: so
# the same files are put over it once more, as a mount like any other.
if [ "$1" != moved ]; then
  mkdir /top
  mount --bind / /top
  cd /top && mount --move . / && exec chroot . /init moved
  echo "vm-init: cannot move the root"
  exec poweroff -f
fi

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
for c in $(cat /sys/fs/cgroup/cgroup.controllers); do echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control; done
echo /sbin/modprobe >/proc/sys/kernel/modprobe
hostname vm
ip link set lo up

said() {
  echo "$*" >/dev/ttyS1
  sync
  poweroff -f
}
fail() {
  echo "vm-init: $*"
  dmesg | tail -20
  said "failed $*"
}

# What the host asks for: pool (a name), net and out (anything).
. /vm/settings
/usr/lib/systemd-udevd --daemon || fail "udev does not start"
for m in virtio_pci virtio_blk ${net:+virtio_net} ${pool:+zfs}; do
  modprobe "$m" || fail "module $m does not load"
done
udevadm trigger --action=add --subsystem-match=block
udevadm settle
if [ -n "$net" ]; then
  ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up || fail "no network"
fi
if [ -z "$(blkid -o value -s TYPE /dev/vda1)" ]; then
  mke2fs -q -t ext4 -F /dev/vda1 || fail "no file system on the disk"
fi
mkdir /disk
mount -t ext4 /dev/vda1 /disk || fail "the disk does not mount"
if [ -n "$pool" ]; then
  # A pool that was never made has no label on its partition.
  if [ "$(blkid -o value -s TYPE /dev/vda2)" = zfs_member ]; then
    zpool import -f -d /dev/vda2 "$pool" || fail "pool $pool is not imported"
  else
    zpool create -f -o ashift=12 -O mountpoint="/$pool" -O atime=off "$pool" /dev/vda2 || fail "pool $pool is not made"
  fi
fi
echo "ready $(cut -d' ' -f1 /proc/uptime)" >/dev/ttyS1
mkdir /out
cd /vm
/vm/command
status=$?
[ -z "$out" ] || tar cf /dev/vdb -C /out . || fail "/out is not copied"
said "exit $status"
