import * as fc from 'fast-check';
import { digestOf } from '../../storage/digest.ts';

/** A request that no client sends. All texts are bytes: latin1. */
export interface HostileRequest {
  readonly method: string;
  /** `{upload}` stands for the session that was opened last, `{digest}` for the body's digest. */
  readonly target: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** How the body's end is told, or not. */
  readonly framing: 'none' | 'length' | 'chunked' | 'too short' | 'broken chunks';
}

/** Content that is there, and what names it. */
const zeros = `sha256:${'0'.repeat(64)}`;
const digests = [digestOf(Buffer.from('layer')), digestOf(Buffer.from('x')), zeros, `sha512:${'0'.repeat(128)}`];
const oddDigests = [
  'sha256:..',
  'sha256:',
  'md5:d41d8cd98f00b204e9800998ecf8427e',
  `SHA256:${'0'.repeat(64)}`,
  `sha256:${'A'.repeat(64)}`,
  `sha256:${'0'.repeat(63)}`,
  `sha256%3A${'0'.repeat(64)}`,
  `sha256:../../../../../../${'0'.repeat(46)}`,
  `sha256:${'0'.repeat(64)}%00`,
  `sha256:${'0'.repeat(64)}/..`,
];
const odd = String.raw`.. . %2e%2e %2E. %2f %2F..%2F %5c \ %00 %0a %0d%0aX-Odd:%201 % %zz %c0%af %c0%ae%c0%ae %e0%80%af
  %f0%80%80%af %ff %ed%a0%80 %EF%BC%8F _catalog _shiplog _layers _manifests _uploads __proto__ constructor A - ~ * : @ ;
  , + data link`
  .split(/\s+/)
  .concat('', '\x7f', '\x80', '\xff', 'x'.repeat(256), 'x'.repeat(10_000), 'a/'.repeat(200));
const plain = ['app', 'a', 'b', 'team', 'web', 'v1', 'latest', 'blobs', 'manifests', 'uploads', 'tags', 'list', 'v2'];

const bytes = fc
  .uint8Array({ maxLength: 12 })
  // White space ends a request's target, and a line break the whole line.
  .map((values) => Buffer.from(values.filter((value) => value > 0x20)).toString('latin1'));
const encoded = fc
  .uint8Array({ maxLength: 8 })
  .map((values) => Array.from(values, (value) => `%${value.toString(16).padStart(2, '0')}`).join(''));
const part = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...plain) },
  { weight: 2, arbitrary: fc.constantFrom(...odd) },
  { weight: 1, arbitrary: bytes },
  { weight: 1, arbitrary: encoded },
);
const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('app', 'app', 'a/b', 'team/web') },
  { weight: 1, arbitrary: fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/')) },
);
const digest = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('{digest}', ...digests) },
  { weight: 1, arbitrary: fc.constantFrom(...oddDigests) },
);
const reference = fc.oneof(digest, fc.constantFrom('v1', 'v2', 'latest'), part);
const session = fc.oneof(
  { weight: 6, arbitrary: fc.constant('{upload}') },
  { weight: 1, arbitrary: fc.constant('00000000-0000-0000-0000-000000000000') },
  { weight: 1, arbitrary: part },
);
const methods = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'];
const oddMethods = ['OPTIONS', 'PROPFIND', 'CONNECT', 'TRACE', 'get', 'X', ''];

/** What is asked of a path of one kind: mostly what it is for. */
function on(path: fc.Arbitrary<string>, ...fitting: string[]): fc.Arbitrary<[method: string, path: string]> {
  const method = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...fitting) },
    { weight: 2, arbitrary: fc.constantFrom(...methods) },
    { weight: 1, arbitrary: fc.constantFrom(...oddMethods) },
  );
  return fc.tuple(method, path);
}
const join = (...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
  fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))).map((all) => all.join(''));
const anywhere = fc.oneof(
  fc.array(part, { maxLength: 6 }).map((parts) => `/v2/${parts.join('/')}`),
  fc.array(part, { maxLength: 3 }).map((parts) => `/${parts.join('/')}`),
  fc.constantFrom('*', 'http://elsewhere.example/v2/', 'http://[', '//', '/v2/../../etc/passwd', '/v2/%2e%2e/app'),
);
const route = fc.oneof(
  { weight: 2, arbitrary: on(join('/v2/', name, '/manifests/', reference), 'GET', 'HEAD', 'PUT', 'PUT', 'DELETE') },
  { weight: 2, arbitrary: on(join('/v2/', name, '/blobs/', digest), 'GET', 'GET', 'HEAD', 'DELETE') },
  { weight: 4, arbitrary: on(join('/v2/', name, '/blobs/uploads/'), 'POST') },
  { weight: 1, arbitrary: on(join('/v2/', name, '/blobs/uploads/', session), 'GET', 'PATCH', 'PUT', 'DELETE') },
  {
    weight: 4,
    arbitrary: on(join('/v2/app/blobs/uploads/', session), 'GET', 'PATCH', 'PATCH', 'PUT', 'PUT', 'DELETE'),
  },
  { weight: 1, arbitrary: on(join('/v2/', name, '/tags/list'), 'GET') },
  { weight: 1, arbitrary: on(join('/v2/', name, '/referrers/', digest), 'GET') },
  { weight: 1, arbitrary: on(fc.constant('/v2/_catalog'), 'GET') },
  { weight: 2, arbitrary: on(anywhere, ...methods) },
);

const number = fc.oneof(
  fc.nat(20).map(String),
  fc.bigInt({ min: 0n }).map(String),
  fc.constantFrom('', '-1', '1e3', '0x10', '9'.repeat(400), '%00', 'NaN', ' 1', '\u00b2'),
);
const parameter = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constant('digest'), digest) },
  fc.tuple(fc.constantFrom('mount', 'digest-algorithm'), fc.oneof(digest, part)),
  fc.tuple(fc.constantFrom('from', 'last', 'tag', 'artifactType', 'ns'), fc.oneof(name, reference)),
  fc.tuple(fc.constant('n'), number),
  fc.tuple(part, part),
);
const query = fc
  .array(parameter, { maxLength: 3 })
  .map((parameters) => parameters.map(([name, value]) => `${name}=${value}`).join('&'));

const span = fc.tuple(number, number).map(([first, last]) => `${first}-${last}`);
const value = fc.uint8Array({ maxLength: 20 }).map((values) => {
  const allowed = values.filter((value) => value >= 0x20 && value !== 0x7f);
  return Buffer.from(allowed).toString('latin1');
});
const types = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/json; charset=utf-8',
  '__proto__',
  ';;',
];
const field = fc.oneof(
  fc.tuple(
    fc.constant('Range'),
    fc.array(span, { maxLength: 6 }).map((spans) => `bytes=${spans.join(',')}`),
  ),
  fc.tuple(fc.constant('Range'), fc.constantFrom(`bytes=${'0-0,'.repeat(2000)}`, 'bytes', 'lines=1-2', 'bytes=,,')),
  fc.tuple(
    fc.constant('Content-Range'),
    fc.oneof(
      span,
      span.map((span) => `bytes ${span}/*`),
    ),
  ),
  fc.tuple(fc.constant('Content-Type'), fc.oneof(fc.constantFrom(...types), value)),
  fc.tuple(fc.constantFrom('If-None-Match', 'If-Range', 'If-Match', 'If-Modified-Since'), value),
  fc.tuple(fc.constantFrom('Link', 'Accept', 'Accept-Encoding', 'Content-Encoding', 'Authorization', 'Cookie'), value),
  fc.tuple(fc.constantFrom('X-Forwarded-For', 'X-Forwarded-Proto', 'Forwarded', 'X-HTTP-Method-Override'), value),
  fc.tuple(fc.constantFrom('Expect', 'Upgrade', 'OCI-Subject', 'Docker-Content-Digest', 'Host'), value),
  fc.tuple(fc.constant('Expect'), fc.constant('100-continue')),
  fc.tuple(fc.constant('X-Long'), fc.constant('x'.repeat(10_000))),
);

const [config] = digests;
const descriptor = (digest: string): object => ({ mediaType: 'application/octet-stream', digest, size: 5 });
const document = fc
  .record(
    {
      schemaVersion: fc.constantFrom<unknown>(2, 1, '2', null),
      mediaType: fc.constantFrom<unknown>(...types, 7),
      config: fc.constantFrom<unknown>(descriptor(config ?? ''), descriptor(zeros), null, [], '__proto__'),
      layers: fc.constantFrom<unknown>([], [descriptor(zeros)], [null], {}, [{ digest: '../../..' }]),
      manifests: fc.constantFrom<unknown>([], [descriptor(zeros)], [descriptor('sha256:..')], 'x'),
      subject: fc.constantFrom<unknown>(descriptor(zeros), descriptor('..'), null),
      annotations: fc.constantFrom<unknown>({ a: 'b' }, { a: 1 }, { ['__proto__']: 'x' }, []),
      artifactType: fc.constantFrom<unknown>('', 'a/b', 1, '\u0000', '\r\nX-Odd: 1'),
      Layers: fc.constant([]),
    },
    { requiredKeys: [] },
  )
  .map((document) => JSON.stringify(document));
const proper = JSON.stringify({ schemaVersion: 2, mediaType: types[0], config: descriptor(config ?? ''), layers: [] });
const body = fc.oneof(
  document,
  fc.constantFrom(proper, proper, '', 'x', 'layer', '{}', '[', '['.repeat(20_000), 'x'.repeat(70_000)),
  fc.string({ maxLength: 30 }).map((text) => Buffer.from(text).toString('latin1')),
);

/** Requests of which any part may be wrong. */
export const hostileRequest: fc.Arbitrary<HostileRequest> = fc
  .record({
    request: route,
    query,
    fields: fc.oneof(fc.constant([]), fc.array(field, { maxLength: 4 })),
    body,
    framing: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('none', 'length', 'chunked') },
      { weight: 1, arbitrary: fc.constantFrom('too short', 'broken chunks') },
    ),
  })
  .map(({ request: [method, path], query, ...rest }) => ({
    method,
    target: query === '' ? path : `${path}?${query}`,
    ...rest,
  }));

/** Whether the request ends where its sender says that it does. */
export function isWhole({ framing }: HostileRequest): boolean {
  return framing !== 'too short' && framing !== 'broken chunks';
}

/** The request's bytes; the connection ends with its answer. */
export function render({ method, target, fields, body, framing }: HostileRequest, upload: string): Buffer {
  const length = Buffer.byteLength(body, 'latin1');
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  const [head, content] = {
    none: ['', ''],
    length: [`Content-Length: ${length}\r\n`, body],
    chunked: ['Transfer-Encoding: chunked\r\n', `${body === '' ? '' : chunk(body)}0\r\n\r\n`],
    'too short': [`Content-Length: ${length + 5}\r\n`, body],
    'broken chunks': ['Transfer-Encoding: chunked\r\n', `${chunk('part')}zz\r\n`],
  }[framing];
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const host = fields.some(([name]) => name === 'Host') ? '' : 'Host: 127.0.0.1\r\n';
  const digest = digestOf(Buffer.from(framing === 'none' ? '' : body, 'latin1'));
  const place = target.replaceAll('{upload}', upload).replaceAll('{digest}', digest);
  const line = `${method} ${place} HTTP/1.1\r\n`;
  return Buffer.from(`${line}${host}Connection: close\r\n${lines}${head}\r\n${content}`, 'latin1');
}
