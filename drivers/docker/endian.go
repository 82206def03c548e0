package docker

import "encoding/binary"

func nativeUint32(b [4]byte) uint32 { return binary.NativeEndian.Uint32(b[:]) }
