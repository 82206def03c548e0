package zfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// superblock is as much of a device as tells what filesystem it carries.
const superblock = 2048

// kindOf tells what a device that begins so carries, "" for nothing we know, and of
// ext4 how many blocks.
func kindOf(begin []byte) (kind string, blocks uint64) {
	const ext = 1024
	le := binary.LittleEndian
	switch {
	case len(begin) < superblock:
		return "", 0
	case string(begin[:4]) == "XFSB":
		return "xfs", 0
	case le.Uint16(begin[ext+0x38:]) == 0xEF53: // of ext2 and ext3, too, which are mounted as ext4
		blocks = uint64(le.Uint32(begin[ext+0x4:]))
		if const64 := uint32(0x80); le.Uint32(begin[ext+0x60:])&const64 != 0 {
			blocks |= uint64(le.Uint32(begin[ext+0x150:])) << 32
		}
		return "ext4", blocks
	}
	return "", 0
}

// fill grows the mounted filesystem of a zvol to the size of its device. It has it
// already: no-op.
func (d *Driver) fill(ctx context.Context, name, point, kind string) error {
	return d.guard.run(ctx, formatLimit, poolOf(name), "grow "+point, func(context.Context) error {
		size, begin, err := sizeAndBegin(device(name))
		if err != nil {
			return err
		}
		f, err := os.Open(point)
		if err != nil {
			return err
		}
		defer f.Close()
		if kind == "xfs" {
			err = growXFS(f.Fd(), size)
		} else {
			err = growExt4(f.Fd(), size, begin)
		}
		if err != nil {
			return fmt.Errorf("grow the %s of %s to its %d bytes: %w", kind, device(name), size, err)
		}
		return nil
	})
}

func sizeAndBegin(device string) (size uint64, begin []byte, err error) {
	f, err := os.Open(device)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, nil, err
	}
	begin = make([]byte, superblock)
	if _, err := f.ReadAt(begin, 0); err != nil {
		return 0, nil, err
	}
	return uint64(end), begin, nil
}

// What xfs_growfs and resize2fs ask of a mounted filesystem, see xfs_fs.h and
// ext4.h of the kernel.
const (
	xfsGeometry = 0x80705864 // XFS_IOC_FSGEOMETRY_V1
	xfsGrow     = 0x4010586e // XFS_IOC_FSGROWFSDATA
	ext4Resize  = 0x40086610 // EXT4_IOC_RESIZE_FS
)

func growXFS(fd uintptr, size uint64) error {
	var has struct {
		blocksize, _, _, _, _, _, _, imaxpct uint32
		datablocks, _, _, _                  uint64
		_                                    [16]byte
		_                                    [8]uint32
	}
	if err := ioctl(fd, xfsGeometry, unsafe.Pointer(&has)); err != nil {
		return err
	}
	blocks := size / uint64(has.blocksize)
	if blocks <= has.datablocks {
		return nil
	}
	grow := struct {
		newblocks  uint64
		imaxpct, _ uint32
	}{newblocks: blocks, imaxpct: has.imaxpct}
	return ioctl(fd, xfsGrow, unsafe.Pointer(&grow))
}

func growExt4(fd uintptr, size uint64, begin []byte) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(fd), &st); err != nil {
		return err
	}
	_, has := kindOf(begin)
	blocks := size / uint64(st.Bsize)
	if blocks <= has {
		return nil
	}
	return ioctl(fd, ext4Resize, unsafe.Pointer(&blocks))
}

func ioctl(fd uintptr, request uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}
