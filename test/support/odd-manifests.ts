/** Manifests that name one blob as config and layer: by what is odd about them, their text. */
export interface OddManifests {
  /** Those that every reader understands alike. */
  readonly plain: Readonly<Record<string, string>>;
  /** Those that this reader understands, and others not, or otherwise. */
  readonly refused: Readonly<Record<string, string>>;
}

/** Odd manifests that name some blob. */
export function odd(blob: { mediaType: string; digest: string; size: number }): OddManifests {
  const [name, size] = [JSON.stringify(blob), `"size":${blob.size}`];
  const text = (config: string, more = ''): string =>
    `{"schemaVersion":2,"config":${config},"layers":[${name}]${more}}`;
  const withMore = (more: object): string => text(JSON.stringify({ ...blob, ...more }));
  return {
    plain: {
      'one without anything odd': text(name),
      'keys of others': text(name, ',"history":5,"name":1.5,"x":{"size":2e2,"Digest":7}'),
      'annotations that differ in case alone': withMore({ annotations: { Key: 'a', key: 'b', Size: 'c' } }),
      'fields that are null': withMore({ annotations: null, platform: null, data: null, artifactType: null }),
      'all fields': withMore({
        annotations: {},
        platform: { os: 'linux' },
        data: 'e30=',
        artifactType: 'a/b',
        urls: [],
      }),
      'keys and texts of every kind': text(name, String.raw`,"\"}\\":"]\\","{":["\u007d",-1.5e3,true,null,[[]],{}]`),
      'white space': text(name).replaceAll('":', '" :\t').replaceAll(',"', '\r\n, "'),
    },
    refused: {
      'a size with an exponent': text(name.replace(size, `"size":${blob.size}e0`)),
      'a size with a point': text(name.replace(size, `"size":${blob.size}.0`)),
      'a size of less than nothing': text(name.replace(size, '"size":-0')),
      'a schemaVersion with a point': text(name).replace(':2,', ':2.0,'),
      'annotations that are no texts': withMore({ annotations: { a: 1 } }),
      'annotations that are a list': withMore({ annotations: [] }),
      'a platform that is a text': withMore({ platform: 'linux' }),
      'a platform whose system is a number': withMore({ platform: { os: 1 } }),
      'data that are a number': withMore({ data: 1 }),
      'data that are no base64': withMore({ data: '***' }),
      'a type of artifact that is a number': withMore({ artifactType: 1 }),
      'a second digest in another case': withMore({ Digest: `sha256:${'a'.repeat(64)}` }),
      'a second size in another case': withMore({ Size: 'x' }),
      'a second annotation in another case': text(name, ',"Annotations":5'),
      'a letter that Go folds': withMore({ ſize: 'x' }),
      'a key twice': text(`5,"config":${name}`),
      'a key twice, once escaped': text(name, String.raw`,"\u006cayers":[${name}]`),
      'a key twice, deep inside': text(name, ',"x":[{"y":[{"z":1,"z":2}]}]'),
      'more levels than readers bear': text(name, `,"x":${'['.repeat(10_001)}${']'.repeat(10_001)}`),
    },
  };
}
