import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openElasticsearch, type ElasticsearchOptions } from '../../ingest/sinks/elasticsearch.ts';
import { bulkOf, document, noon } from '../support/documents.ts';
import { quiet } from '../support/log.ts';
import { ScriptedElasticsearch } from '../support/scripted-elasticsearch.ts';

const pem = (name: string): Promise<string> =>
  readFile(resolve(import.meta.dirname, '../support/certificates', name), 'utf8');
const fingerprint = async (name: string): Promise<string> => new X509Certificate(await pem(name)).fingerprint256;

/** Delivers one document over TLS; `chain`: what the server shows. */
async function deliver(chain: string[], options: Partial<ElasticsearchOptions>): Promise<ScriptedElasticsearch> {
  const cert = (await Promise.all(chain.map((name) => pem(`${name}.pem`)))).join('');
  const server = await ScriptedElasticsearch.start({ cert, key: await pem(`${chain[0]}.key`) });
  const [auth, rest] = [
    { username: 'shiplog', password: 'a secret' },
    { dataset: 'docker', namespace: 'default' },
  ];
  const sink = openElasticsearch({ nodes: [server.url], log: quiet, auth, ...rest, ...options });
  onTestFinished(async () => {
    await sink[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  try {
    const outcomes = await sink.deliver(bulkOf([document({ id: 'a', time: noon })]), new AbortController().signal);
    expect(outcomes).toEqual([{ status: 'indexed' }]);
  } finally {
    seen = server.seen.length;
  }
  return server;
}
let seen = 0;

test('a certificate of the given authority is trusted', async () => {
  await deliver(['server'], { ca: await pem('ca.pem') });
});

test('a chain that ends in the certificate with the given fingerprint is trusted', async () => {
  await deliver(['server', 'ca'], { caFingerprint: await fingerprint('ca.pem') });
});

const strangers: [string, string[], () => Promise<Partial<ElasticsearchOptions>>][] = [
  ['nothing is said', ['server'], async () => ({})],
  ['it is of another authority', ['stranger'], async () => ({ ca: await pem('ca.pem') })],
  ['it has another fingerprint', ['stranger'], async () => ({ caFingerprint: await fingerprint('ca.pem') })],
  ['it is for another address', ['stranger'], async () => ({ caFingerprint: await fingerprint('stranger.pem') })],
  // The stranger did not sign the server's certificate; it only stands behind it.
  [
    'it is not signed by what has it',
    ['server', 'stranger'],
    async () => ({ caFingerprint: await fingerprint('stranger.pem') }),
  ],
];

test.each(strangers)(
  'a certificate is not trusted where %s, and credentials are not sent',
  async (_, chain, options) => {
    await expect(deliver(chain, await options())).rejects.toMatchObject({ name: 'SinkError' });
    expect(seen).toBe(0);
  },
);

test('bulks are compressed where that is wanted', async () => {
  const ca = await pem('ca.pem');
  const [plain, compressed] = [await deliver(['server'], { ca }), await deliver(['server'], { ca, compression: true })];
  const encodings = [plain, compressed].map((server) => server.to(/_bulk/)[0]?.headers['content-encoding']);
  expect(encodings).toEqual([undefined, 'gzip']);
  expect(compressed.to(/_bulk/)[0]?.body).toBe(plain.to(/_bulk/)[0]?.body);
});
