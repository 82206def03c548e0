package plans

import (
	"encoding/json"
	"fmt"
)

// SpecVersion is the version of the stored form of cores and services. Older
// ones stay readable.
const SpecVersion = 1

// A stored spec lets a host go back without git. It is kept by digest, and
// holds more than the digest covers: the probe the generation was proved with.
// Whoever stores a spec again for a digest it has replaces the probe; the one
// to keep is the one the generation was proved with.
type storedSpec struct {
	Version int      `json:"version"`
	Core    *Core    `json:"core,omitempty"`
	Service *Service `json:"service,omitempty"`
}

// EncodeCore returns the stored form of a core.
func EncodeCore(c Core) ([]byte, error) { return encodeSpec(storedSpec{Core: &c}) }

// EncodeService returns the stored form of a service.
func EncodeService(s Service) ([]byte, error) { return encodeSpec(storedSpec{Service: &s}) }

func encodeSpec(spec storedSpec) ([]byte, error) {
	spec.Version = SpecVersion
	b, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	return b, nil
}

// DecodeCore reads what EncodeCore wrote.
func DecodeCore(b []byte) (Core, error) {
	spec, err := decodeSpec(b)
	if err != nil {
		return Core{}, err
	}
	if spec.Core == nil {
		return Core{}, fmt.Errorf("decode spec: it holds no core")
	}
	return *spec.Core, nil
}

// DecodeService reads what EncodeService wrote.
func DecodeService(b []byte) (Service, error) {
	spec, err := decodeSpec(b)
	if err != nil {
		return Service{}, err
	}
	if spec.Service == nil {
		return Service{}, fmt.Errorf("decode spec: it holds no service")
	}
	return *spec.Service, nil
}

func decodeSpec(b []byte) (storedSpec, error) {
	var spec storedSpec
	if err := json.Unmarshal(b, &spec); err != nil {
		return spec, fmt.Errorf("decode spec: %w", err)
	}
	if spec.Version < 1 || spec.Version > SpecVersion {
		return spec, fmt.Errorf("decode spec: version %d is not known; this program reads up to %d", spec.Version, SpecVersion)
	}
	return spec, nil
}
