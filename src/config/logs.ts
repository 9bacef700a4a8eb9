import { z } from 'zod';
import type { Contradiction } from './contradiction.ts';
import { duration, flag, path, secret, size, text } from './values.ts';

// Elasticsearch: "Data streams", "Naming": the parts of a data stream's name have no hyphen.
const streamPart = z
  .string({ error: 'expected a part of a data stream name, such as docker' })
  .regex(/^[a-z\d][a-z\d_.]{0,99}$/, { error: 'expected lower-case letters, digits, _ and . (no hyphen)' });

/** A SHA-256 as `openssl x509 -fingerprint -sha256` prints it; the colons may be left out. */
const fingerprint = z
  .string({ error: 'expected a SHA-256 in hex' })
  .regex(/^[\da-f]{2}(?::?[\da-f]{2}){31}$/i, { error: 'expected a SHA-256 in hex, such as 4F:1A:…' })
  .transform((hex) => (hex.replaceAll(':', '').toUpperCase().match(/../g) ?? []).join(':'))
  .meta({ kind: 'SHA-256 in hex' });

const node = z
  .url({ protocol: /^https?$/, error: 'expected a URL such as http://127.0.0.1:9200' })
  .refine((url) => !/^\w+:\/\/[^/]*@/.test(url), {
    error: 'expected a URL without a user in it; use username and password',
  })
  .meta({ kind: 'URL' });

/** `logs`: where log records are kept. */
export function logs(base: string) {
  return z
    .strictObject({
      sink: z
        .enum(['embedded', 'elasticsearch'], { error: 'expected embedded or elasticsearch' })
        .default('embedded')
        .describe('Where log records are kept: in files of SQLite below `data`, or in Elasticsearch.'),
      embedded: z
        .strictObject({
          retention: duration.prefault('7d').describe('How long records are kept.'),
          max_size: size
            .prefault('10GiB')
            .describe('Beyond it the oldest files go; a day has several when it is large.'),
        })
        .prefault({}),
      elasticsearch: elasticsearch(base),
    })
    .prefault({});
}

function elasticsearch(base: string) {
  return z
    .strictObject({
      nodes: z
        .array(node, { error: 'expected a list of URLs' })
        .default([])
        .describe('The URLs of the nodes, such as `http://127.0.0.1:9200`.'),
      username: text.optional().describe('Together with the password.'),
      password: secret().optional().describe('Together with the username.'),
      api_key: secret().optional().describe('Instead of username and password.'),
      ca: path(base)
        .optional()
        .describe("A file with the certificates that sign the nodes' ones, if the system does not know them."),
      ca_fingerprint: fingerprint
        .optional()
        .describe(
          "Instead of `ca`: the SHA-256 of the certificate that signs the nodes' ones, as Elasticsearch prints it at " +
            'its first start. The nodes must send that certificate too.',
        ),
      compression: flag
        .default(false)
        .describe('Sends requests as gzip: less on the wire, more work for the processor.'),
      dataset: streamPart.default('docker').describe('The data stream is `logs-<dataset>-<namespace>`.'),
      namespace: streamPart.default('default').describe('The last part of its name.'),
      retention: duration.prefault('30d').describe('How long Elasticsearch keeps records.'),
      kibana: z
        .strictObject({
          url: node
            .optional()
            .describe(
              'Where Kibana is, for `shiplog kibana-setup`: its URL, with the path of the space ' +
                '(`https://kibana.corp/s/logs`) if it is not the default one.',
            ),
          username: text.optional().meta({ fallback: "Elasticsearch's" }).describe('Together with the password.'),
          password: secret().optional().describe('Together with the username.'),
          api_key: secret()
            .optional()
            .meta({ fallback: "Elasticsearch's" })
            .describe('Instead of username and password.'),
          ca: path(base)
            .optional()
            .describe("A file with the certificates that sign Kibana's one, if the system does not know them."),
        })
        .prefault({}),
    })
    .prefault({});
}

type Elasticsearch = z.output<ReturnType<typeof elasticsearch>>;

/** What of it is wrong together. */
export function contradictionsOfLogs({ sink, elasticsearch }: z.output<ReturnType<typeof logs>>): Contradiction[] {
  if (sink !== 'elasticsearch') return [];
  const message = 'logs.sink is elasticsearch, so this must name at least one node';
  return [
    ...(elasticsearch.nodes.length === 0 ? [{ key: 'logs.elasticsearch.nodes', message }] : []),
    ...contradictionsOfTrust(elasticsearch),
    ...contradictionsOfCredentials('logs.elasticsearch', elasticsearch),
    ...contradictionsOfCredentials('logs.elasticsearch.kibana', elasticsearch.kibana),
  ];
}

function contradictionsOfTrust({ nodes, ca, ca_fingerprint: print }: Elasticsearch): Contradiction[] {
  if (print === undefined) return [];
  const key = 'logs.elasticsearch.ca_fingerprint';
  return [
    ...(ca === undefined ? [] : [{ key, message: 'give this or ca, not both' }]),
    ...(nodes.every((node) => node.startsWith('https:')) ? [] : [{ key, message: 'a node has a URL without https' }]),
  ];
}

function contradictionsOfCredentials(
  section: string,
  { username, password, api_key: apiKey }: Pick<Elasticsearch, 'username' | 'password' | 'api_key'>,
): Contradiction[] {
  const problems: Contradiction[] = [];
  const add = (key: string, message: string) => problems.push({ key: `${section}.${key}`, message });
  if (apiKey !== undefined && username !== undefined) add('api_key', 'give this or a username, not both');
  if (username !== undefined && password === undefined) add('password', 'there is a username, so this is needed too');
  if (username === undefined && password !== undefined) add('username', 'there is a password, so this is needed too');
  return problems;
}
