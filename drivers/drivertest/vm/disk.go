package vm

import (
	"encoding/binary"
	"fmt"
	"os"
)

// The partitions of a disk, in MiB. The file is sparse: it takes what is written.
const (
	stateSize = 2048 // ext4, mounted at /disk
	poolSize  = 1024 // of each of the pool and the spare
)

// NewDisk makes an empty disk in a file: a partition for /disk, one for
// Config.Pool, and a spare one (/dev/vda3) for a second pool.
func NewDisk(file string) error {
	const sector, mib = 512, 1 << 20
	mbr := make([]byte, sector)
	start := uint32(mib / sector)
	for i, size := range []uint32{stateSize, poolSize, poolSize} {
		entry := mbr[446+16*i:][:16]
		entry[4] = 0x83 // Linux
		binary.LittleEndian.PutUint32(entry[8:], start)
		binary.LittleEndian.PutUint32(entry[12:], size*(mib/sector))
		start += size * (mib / sector)
	}
	mbr[510], mbr[511] = 0x55, 0xaa
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	_, err = f.Write(mbr)
	if err == nil {
		err = f.Truncate(int64(start) * sector)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("make disk %s: %w", file, err)
	}
	return nil
}
