package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
)

// filler is what contents are made of: nothing that could be compressed.
var filler = func() []byte {
	bytes := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{})
	source.Read(bytes)
	return bytes
}()

// blob is content that no other has: a number, and the filler again and again.
type blob struct {
	head   [16]byte
	size   int
	digest string
}

func newBlob(seed, number uint64, size int) *blob {
	made := &blob{size: size}
	binary.BigEndian.PutUint64(made.head[:], seed)
	binary.BigEndian.PutUint64(made.head[8:], number)
	hash := sha256.New()
	for _, piece := range made.pieces(len(filler)) {
		hash.Write(piece)
	}
	made.digest = fmt.Sprintf("sha256:%x", hash.Sum(nil))
	return made
}

// pieces is the content, in parts of at most `longest` bytes.
func (b *blob) pieces(longest int) net.Buffers {
	pieces := net.Buffers{b.head[:min(b.size, len(b.head))]}
	for left := b.size - len(b.head); left > 0; {
		for at := 0; at < len(filler) && left > 0; {
			length := min(longest, len(filler)-at, left)
			pieces = append(pieces, filler[at:at+length])
			at, left = at+length, left-length
		}
	}
	return pieces
}

// chunked is the content as Docker sends it: in chunks of 32 KiB (RFC 9112, section 7.1).
func (b *blob) chunked() net.Buffers {
	var body net.Buffers
	for _, piece := range b.pieces(32 << 10) {
		body = append(body, fmt.Appendf(nil, "%x\r\n", len(piece)), piece, lineBreak)
	}
	return append(body, []byte("0\r\n\r\n"))
}

var lineBreak = []byte("\r\n")

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// image is a config, layers, and the manifest that names them.
type image struct {
	config   *blob
	layers   []*blob
	manifest []byte
	digest   string
}

func newImage(config *blob, layers []*blob) *image {
	descriptors := make([]string, len(layers))
	for i, layer := range layers {
		descriptors[i] = descriptor(layerType, layer)
	}
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`,
		manifestType, descriptor(configType, config), strings.Join(descriptors, ","))
	return &image{config, layers, manifest, fmt.Sprintf("sha256:%x", sha256.Sum256(manifest))}
}

func descriptor(mediaType string, content *blob) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, content.digest, content.size)
}

// blobs is all that has to be there before the manifest.
func (i *image) blobs() []*blob { return append([]*blob{i.config}, i.layers...) }
