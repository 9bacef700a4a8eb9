import { describe, expect, test } from 'vitest';
import { parseManifest, storedMediaType } from '../../storage/manifest.ts';

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const ociIndex = 'application/vnd.oci.image.index.v1+json';
const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';
const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json';

const named = (fill: string): object => ({ mediaType: 'a/b', digest: `sha256:${fill.repeat(64)}`, size: 3 });
const [config, layer, child] = [named('1'), named('2'), named('3')];
const image = { schemaVersion: 2, config, layers: [layer] };
const index = { schemaVersion: 2, manifests: [child] };

function bytes(document: unknown): Buffer {
  return Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
}

describe('what a document is, its bytes say', () => {
  const table: [object, string][] = [
    [image, ociManifest],
    [{ ...image, mediaType: ociManifest }, ociManifest],
    [{ ...image, mediaType: dockerManifest }, dockerManifest],
    [{ ...image, artifactType: 'application/x', annotations: { a: 'b' } }, ociManifest],
    [{ ...image, layers: [] }, ociManifest],
    [index, ociIndex],
    [{ ...index, mediaType: ociIndex }, ociIndex],
    [{ ...index, mediaType: dockerList }, dockerList],
    [{ ...index, manifests: [] }, ociIndex],
  ];
  test.each(table)('%j', (document, mediaType) => {
    expect(parseManifest(bytes(document)).mediaType).toBe(mediaType);
    expect(parseManifest(bytes(document), mediaType).mediaType).toBe(mediaType);
    expect(parseManifest(bytes(document), ` ${mediaType.toUpperCase()} ; charset=utf-8`).mediaType).toBe(mediaType);
    expect(storedMediaType(bytes(document))).toBe(mediaType);
    for (const other of [ociManifest, ociIndex, dockerManifest, dockerList, 'application/json']) {
      if (other === mediaType) continue;
      expect(() => parseManifest(bytes(document), other)).toThrow(/Content-Type/);
    }
  });
});

test('what it names is told once each, and a subject apart', () => {
  expect(parseManifest(bytes({ ...image, layers: [layer, config, layer], subject: child }))).toEqual({
    mediaType: ociManifest,
    config: `sha256:${'1'.repeat(64)}`,
    blobs: [`sha256:${'1'.repeat(64)}`, `sha256:${'2'.repeat(64)}`],
    children: [],
    elsewhere: [],
    artifactType: 'a/b',
    subject: `sha256:${'3'.repeat(64)}`,
  });
  expect(parseManifest(bytes({ ...index, manifests: [child, child, layer] }))).toEqual({
    mediaType: ociIndex,
    blobs: [],
    children: [`sha256:${'3'.repeat(64)}`, `sha256:${'2'.repeat(64)}`],
    elsewhere: [],
  });
});

describe('what another reader could take for something else, or not at all, is refused', () => {
  const table: [string, unknown][] = [
    ['nothing', ''],
    ['no JSON', '{'],
    ['bytes after it', `${JSON.stringify(image)} x`],
    ['an array', [image]],
    ['null', null],
    ['an image and an index', { ...image, ...index }],
    ['an index with layers', { ...index, layers: [] }],
    ['an index with a config', { ...index, config }],
    ['an index that says image', { ...index, mediaType: ociManifest }],
    ['an image that says index', { ...image, mediaType: ociIndex }],
    ['an unknown type', { ...image, mediaType: 'application/vnd.oci.artifact.manifest.v1+json' }],
    ['no type but an empty one', { ...image, mediaType: '' }],
    ['schema 1', { schemaVersion: 1, name: 'a', tag: 'b', fsLayers: [] }],
    ['schema 1 in schema 2', { ...image, fsLayers: [] }],
    ['no schemaVersion', { config, layers: [layer] }],
    ['a schemaVersion of 3', { ...image, schemaVersion: 3 }],
    ['a schemaVersion in words', { ...image, schemaVersion: '2' }],
    ['no config', { schemaVersion: 2, layers: [] }],
    ['no layers', { schemaVersion: 2, config }],
    ['a layer without digest', { ...image, layers: [{ mediaType: 'a/b', size: 1 }] }],
    ['a digest that is a path', { ...image, layers: [{ ...layer, digest: 'sha256:../../x' }] }],
    ['an unknown algorithm', { ...image, config: { ...config, digest: `md5:${'1'.repeat(32)}` } }],
    ['a negative size', { ...image, config: { ...config, size: -1 } }],
    ['half a byte', { ...image, config: { ...config, size: 0.5 } }],
    ['no media type of a layer', { ...image, layers: [{ ...layer, mediaType: '' }] }],
    ['a broken subject', { ...image, subject: {} }],
    ['keys that differ in case alone', { ...image, Manifests: [child] }],
    ['a key that Go reads as layers', { ...index, layerſ: [layer] }],
  ];
  test.each(table)('%s', (_, document) => {
    expect(() => parseManifest(bytes(document))).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID' }));
    expect(storedMediaType(bytes(document))).toBe('application/octet-stream');
  });

  test('bytes that are no UTF-8', () => {
    const broken = Buffer.concat([bytes('{"schemaVersion":2,"x":"'), Buffer.from([0xff]), bytes('"}')]);
    expect(() => parseManifest(broken)).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID' }));
    const marked = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes(image)]);
    expect(() => parseManifest(marked)).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID' }));
  });
});
