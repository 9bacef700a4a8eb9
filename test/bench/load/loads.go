package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
)

// imageFlags says which images a load works with.
type imageFlags struct {
	url, repository, tag                         *string
	images, layers, layerSize, configSize, width *int
	seed                                         *uint64
}

func parseImages(flags *flag.FlagSet, arguments []string) (imageFlags, target, error) {
	parsed := imageFlags{
		url:        flags.String("url", "", "the registry's, with user and password if it wants them"),
		repository: flags.String("repository", "bench", ""),
		tag:        flags.String("tag", "t", "what tags begin with; a number follows"),
		images:     flags.Int("images", 1, "how many"),
		layers:     flags.Int("layers", 1, "of an image"),
		layerSize:  flags.Int("layer-size", 64<<10, "in bytes"),
		configSize: flags.Int("config-size", 0, "in bytes; 0: all images share one config, pushed ahead of the clock"),
		width:      flags.Int("at-once", 1, "connections"),
		seed:       flags.Uint64("seed", 1, "other seeds make other contents"),
	}
	if err := flags.Parse(arguments); err != nil {
		return parsed, target{}, err
	}
	to, err := parseTarget(*parsed.url)
	return parsed, to, err
}

func (f imageFlags) make() []*image {
	shared := newBlob(*f.seed, 0, 1024)
	images := make([]*image, *f.images)
	for i := range images {
		config := shared
		if *f.configSize > 0 {
			config = newBlob(*f.seed, uint64(i)<<16|1, *f.configSize)
		}
		layers := make([]*blob, *f.layers)
		for j := range layers {
			layers[j] = newBlob(*f.seed, uint64(i)<<16|uint64(j+2), *f.layerSize)
		}
		images[i] = newImage(config, layers)
	}
	return images
}

// push pushes whole images.
func push(flags *flag.FlagSet, arguments []string) (result, error) {
	f, to, err := parseImages(flags, arguments)
	if err != nil {
		return result{}, err
	}
	images := f.make()
	shared := *f.configSize == 0
	if shared {
		first, err := to.connect()
		if err != nil {
			return result{}, err
		}
		defer first.close()
		if err := first.pushBlob(*f.repository, images[0].config); err != nil {
			return result{}, err
		}
	}
	done, err := atOnce(to, extent{count: len(images), width: *f.width}, func(c *connection, i int) (int64, error) {
		blobs := images[i].blobs()
		if shared {
			blobs = images[i].layers
		}
		sent := int64(0)
		for _, blob := range blobs {
			if err := c.pushBlob(*f.repository, blob); err != nil {
				return 0, err
			}
			sent += int64(blob.size)
		}
		return sent, c.pushManifest(*f.repository, fmt.Sprintf("%s-%d", *f.tag, i), images[i].manifest)
	})
	for _, image := range images {
		done.Manifests = append(done.Manifests, image.digest)
		for _, layer := range image.layers {
			done.Blobs = append(done.Blobs, layer.digest)
		}
	}
	return done, err
}

// mount makes a repository for each operation, of one image that another repository has.
func mount(flags *flag.FlagSet, arguments []string) (result, error) {
	from := flags.String("from", "", "the repository that has the blobs")
	f, to, err := parseImages(flags, arguments)
	if err != nil {
		return result{}, err
	}
	count := *f.images
	*f.images = 1
	image := f.make()[0]
	first, err := to.connect()
	if err != nil {
		return result{}, err
	}
	defer first.close()
	for _, blob := range image.blobs() {
		if err := first.pushBlob(*from, blob); err != nil {
			return result{}, err
		}
	}
	if err := first.pushManifest(*from, "t", image.manifest); err != nil {
		return result{}, err
	}
	return atOnce(to, extent{count: count, width: *f.width}, func(c *connection, i int) (int64, error) {
		repository := fmt.Sprintf("%s/%05d", *f.repository, i)
		for _, blob := range image.blobs() {
			path := fmt.Sprintf("/v2/%s/blobs/uploads/?mount=%s&from=%s", repository, blob.digest, *from)
			if _, err := c.ask("POST", path, "Content-Length: 0\r\n", nil, 201); err != nil {
				return 0, err
			}
		}
		return 0, c.pushManifest(repository, "t", image.manifest)
	})
}

// requests sends requests as they are given, one a line: method, path, wanted status; in turn, and again from the start.
func requests(flags *flag.FlagSet, arguments []string) (result, error) {
	url := flags.String("url", "", "the registry's")
	count := flags.Int("count", 0, "how many; 0: as many as can be done in -seconds")
	seconds := flags.Float64("seconds", 1, "for how long")
	width := flags.Int("at-once", 1, "connections")
	body := flags.String("body", "", "what each request sends along")
	bodyType := flags.String("type", manifestType, "of the body")
	if err := flags.Parse(arguments); err != nil {
		return result{}, err
	}
	to, err := parseTarget(*url)
	if err != nil {
		return result{}, err
	}
	headers := "Accept: " + manifestType + "\r\n"
	var content net.Buffers
	if *body != "" {
		content = net.Buffers{[]byte(*body)}
		headers += fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n", *bodyType, len(*body))
	}
	type request struct {
		method, path string
		status       int
	}
	var list []request
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var one request
		if _, err := fmt.Sscan(lines.Text(), &one.method, &one.path, &one.status); err != nil {
			return result{}, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		return result{}, fmt.Errorf("no requests on stdin")
	}
	return atOnce(to, extent{*count, *seconds, *width}, func(c *connection, i int) (int64, error) {
		one := list[i%len(list)]
		answer, err := c.ask(one.method, one.path, headers, content, one.status)
		return answer.length, err
	})
}

// pushBlob sends one blob as Docker does.
func (c *connection) pushBlob(repository string, blob *blob) error {
	if _, err := c.ask("HEAD", "/v2/"+repository+"/blobs/"+blob.digest, "", nil, 404); err != nil {
		return err
	}
	started, err := c.ask("POST", "/v2/"+repository+"/blobs/uploads/", "Content-Length: 0\r\n", nil, 202)
	if err != nil {
		return err
	}
	path, err := pathOf(started.location)
	if err != nil {
		return err
	}
	patched, err := c.ask("PATCH", path, "Transfer-Encoding: chunked\r\n", blob.chunked(), 202)
	if err != nil {
		return err
	}
	if path, err = pathOf(patched.location); err != nil {
		return err
	}
	digest := "digest=" + strings.ReplaceAll(blob.digest, ":", "%3A")
	_, err = c.ask("PUT", withQuery(path, digest), "Content-Length: 0\r\n", nil, 201)
	return err
}

func (c *connection) pushManifest(repository, tag string, manifest []byte) error {
	headers := fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n", manifestType, len(manifest))
	_, err := c.ask("PUT", "/v2/"+repository+"/manifests/"+tag, headers, net.Buffers{manifest}, 201)
	return err
}
