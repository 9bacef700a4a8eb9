import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { afterAll, describe, expect, test } from 'vitest';
import { type Config, ConfigError, loadConfig, printConfig } from '../../src/config.ts';
import { keys, variable } from '../../src/config/keys.ts';
import { suitableWorkers } from '../../src/config/values.ts';

const folder = mkdtempSync(join(tmpdir(), 'shiplog-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
function file(text: string): string {
  const name = join(folder, `${(count += 1)}.yml`);
  writeFileSync(name, text);
  return name;
}

function load(text: string, env: Record<string, string> = {}): Config {
  return loadConfig({ file: file(text), env });
}

function problems(text: string, env: Record<string, string> = {}): string {
  try {
    load(text, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join('\n').replaceAll(folder, '');
    throw error;
  }
  return '';
}

test('there are as many workers as the machine has cores, and memory for', () => {
  const gibibyte = 1024 ** 3;
  expect(suitableWorkers(2, 8 * gibibyte)).toBe(2);
  expect(suitableWorkers(64, 256 * gibibyte)).toBe(8);
  expect(suitableWorkers(8, gibibyte)).toBe(4);
  expect(suitableWorkers(4, gibibyte / 8)).toBe(1);
});

test('without any configuration there are defaults for all, and everything listens on the loopback', () => {
  const config = loadConfig({ env: {} });
  const root = resolve(import.meta.dirname, '../..');
  expect(config).toEqual({
    data: join(root, 'data'),
    workers: expect.any(Number),
    http: {
      listen: { host: '127.0.0.1', port: 5000 },
      trusted_proxies: [],
      idle_timeout: 60_000,
      shutdown_grace: 8_000,
      tls: {},
    },
    auth: { htpasswd: join(root, 'data/htpasswd'), rules: [], log_readers: ['*'] },
    storage: {
      driver: 'disk',
      read_only: false,
      delete: true,
      upload_expiry: 86_400_000,
      index_max_age: 60_000,
      disk: { root: join(root, 'data/registry'), free_space_reserve: 2 ** 30 },
    },
    ingest: {
      syslog: {
        tcp: { host: '127.0.0.1', port: 5514 },
        udp: { host: '127.0.0.1', port: 5514 },
        tls: { listen: 'off' },
        proxy_protocol: [],
        allow: [],
        max_connections: 10_000,
        max_connections_per_source: 1000,
        max_frame: 2 ** 20,
      },
      http: {},
      forward: { listen: 'off', tls: { listen: 'off' } },
      gelf: { tcp: 'off', udp: 'off' },
      rules: [],
      rate_limit: 'off',
      spool: { max_size: 8 * 2 ** 30, when_full: 'block' },
      tags: { cluster: 'default', sources: [] },
    },
    logs: { sink: 'embedded', embedded: { retention: 7 * 86_400_000, max_size: 10 * 2 ** 30 } },
  });
});

test('the configuration is frozen, down to its leaves', () => {
  const config = load('ingest: { tags: { sources: [{ cidr: 10.0.0.0/8, cluster: a }] } }');
  const open: string[] = [];
  const walk = (value: unknown, place: string): void => {
    if (typeof value !== 'object' || value === null) return;
    if (!Object.isFrozen(value)) open.push(place);
    for (const [key, part] of Object.entries(value)) walk(part, `${place}.${key}`);
  };
  walk(config, 'config');
  expect(open).toEqual([]);
});

test('the environment wins over the file, and the file over the defaults', () => {
  const text = 'http: { listen: "127.0.0.1:1", idle_timeout: 5s }';
  const { http } = load(text, { SHIPLOG_HTTP_LISTEN: '[::1]:2' });
  expect(http).toMatchObject({ listen: { host: '::1', port: 2 }, idle_timeout: 5000, shutdown_grace: 8_000 });
});

test('$SHIPLOG_CONFIG names the file, --config wins over it', () => {
  const [one, two] = [file('ingest: { tags: { cluster: one } }'), file('ingest: { tags: { cluster: two } }')];
  expect(loadConfig({ env: { SHIPLOG_CONFIG: one } }).ingest.tags.cluster).toBe('one');
  expect(loadConfig({ file: two, env: { SHIPLOG_CONFIG: one } }).ingest.tags.cluster).toBe('two');
});

test('relative paths start at the configuration file, not at the working folder', () => {
  const config = load('data: d\nauth: { htpasswd: ../users }', { SHIPLOG_STORAGE_DISK_ROOT: 'images' });
  expect(config.data).toBe(join(folder, 'd'));
  expect(config.auth.htpasswd).toBe(join(folder, '../users'));
  expect(config.storage.disk.root).toBe(join(folder, 'images'));
});

test.each([
  ['{ }', 'storage.s3.bucket (FILE): storage.driver is s3, so this must name a bucket'],
  [
    '{ bucket: a/b }',
    'storage.s3.bucket (FILE): expected the name of a bucket: 3 to 63 lower-case letters, digits, . and -, not "a/b"',
  ],
  [
    '{ bucket: images, access_key_id: me }',
    'storage.s3.secret_access_key (FILE): there is an access_key_id, so this is needed too',
  ],
  [
    '{ bucket: images, secret_access_key: x }',
    'storage.s3.access_key_id (FILE): there is a secret_access_key, so this is needed too',
  ],
  ['{ bucket: images, kms_key_id: key }', 'storage.s3.kms_key_id (FILE): this is of use only where sse is aws:kms'],
  ['{ bucket: images, storage_class: GLACIER }', 'storage.s3.storage_class (FILE): expected STANDARD'],
  ['{ bucket: images, endpoint: s3.corp }', 'storage.s3.endpoint (FILE): expected a URL without a path'],
])('a bucket is configured whole and without contradiction: %s', (s3, problem) => {
  const [found = ''] = problems(`storage: { driver: s3, s3: ${s3} }`).split('\n');
  expect(found.replace(/\(.*?\)/, '(FILE)')).toContain(problem);
});

test('every key can be set in the environment: whatever stands there is in force, or refused', () => {
  const env = {
    SHIPLOG_LOGS_SINK: 'elasticsearch',
    SHIPLOG_LOGS_ELASTICSEARCH_NODES: 'http://a',
    SHIPLOG_STORAGE_DRIVER: 's3',
    SHIPLOG_STORAGE_S3_BUCKET: 'images',
  };
  const before = printConfig(load('', env));
  for (const key of keys.values()) {
    const changed = { ...env, [variable(key.name)]: '?' };
    const answer = problems('', changed);
    expect(answer, key.name).not.toContain('no such key');
    if (answer === '') expect(printConfig(load('', changed)), key.name).not.toBe(before);
  }
  expect(keys.size).toBeGreaterThan(20);
  expect(problems('', { SHIPLOG_INGEST_SPOOL_MAX_SIZE: 'big' })).toBe(
    'ingest.spool.max_size ($SHIPLOG_INGEST_SPOOL_MAX_SIZE): expected a size such as 512KiB, 64MiB or 8GiB, not "big"',
  );
});

test('lists in the environment are separated by commas; entries with two keys by =', () => {
  const { http, ingest, logs } = load('', {
    SHIPLOG_HTTP_TRUSTED_PROXIES: '127.0.0.1/32, 10.0.0.1',
    SHIPLOG_INGEST_TAGS_SOURCES: '10.1.0.0/16=prod,fd00::/8=test',
    SHIPLOG_LOGS_SINK: 'elasticsearch',
    SHIPLOG_LOGS_ELASTICSEARCH_NODES: 'http://a:9200,https://b',
    SHIPLOG_STORAGE_DELETE: 'false',
  });
  expect(http.trusted_proxies).toEqual(['127.0.0.1/32', '10.0.0.1']);
  expect(ingest.tags.sources).toEqual([
    { cidr: '10.1.0.0/16', cluster: 'prod' },
    { cidr: 'fd00::/8', cluster: 'test' },
  ]);
  expect(logs).toMatchObject({ sink: 'elasticsearch', elasticsearch: { nodes: ['http://a:9200', 'https://b'] } });
});

test('rules are written in the environment as in a file, and win over those of the file', () => {
  const { auth } = load('auth: { rules: [{ repositories: "**", users: ["*"], actions: [pull] }], log_readers: [x] }', {
    SHIPLOG_AUTH_RULES: '[{ repositories: [a, b/**], users: [ci], actions: [pull, push] }]',
    SHIPLOG_AUTH_LOG_READERS: 'ann, bob',
  });
  expect(auth.rules).toEqual([{ repositories: ['a', 'b/**'], users: ['ci'], actions: ['pull', 'push'] }]);
  expect(auth.log_readers).toEqual(['ann', 'bob']);
});

describe('what is wrong is said with its key, where it came from, and what is expected', () => {
  const cases: readonly [what: string, text: string, env: Record<string, string>, expected: string][] = [
    [
      'an unknown key of the file',
      'http: { lisen: "127.0.0.1:1" }',
      {},
      'http.lisen (/N.yml): there is no such key; did you mean http.listen?',
    ],
    [
      'a key in the wrong section',
      'retention: 3d',
      {},
      'retention (/N.yml): there is no such key; did you mean logs.embedded.retention?',
    ],
    ['an unknown key that looks like none', 'zzzzzzzzzzzz: 1', {}, 'zzzzzzzzzzzz (/N.yml): there is no such key'],
    [
      'an unknown variable',
      '',
      { SHIPLOG_HTTP_LISTN: 'x' },
      '$SHIPLOG_HTTP_LISTN: there is no such key; did you mean $SHIPLOG_HTTP_LISTEN?',
    ],
    ['a flag', 'storage: { delete: perhaps }', {}, 'storage.delete (/N.yml): expected true or false, not "perhaps"'],
    [
      'a number where a duration belongs',
      'http: { idle_timeout: 60 }',
      {},
      'http.idle_timeout (/N.yml): expected a duration such as 500ms, 60s, 5m, 12h or 7d, not 60',
    ],
    [
      'an address without a port',
      '',
      { SHIPLOG_HTTP_LISTEN: 'localhost' },
      'http.listen ($SHIPLOG_HTTP_LISTEN): expected host:port, such as 127.0.0.1:5000 or [::1]:5000, not "localhost"',
    ],
    [
      'a port that is none',
      'ingest: { syslog: { tcp: "127.0.0.1:70000" } }',
      {},
      'ingest.syslog.tcp (/N.yml): expected host:port, such as 127.0.0.1:5514, or off, not "127.0.0.1:70000"',
    ],
    [
      'a number that is none',
      '',
      { SHIPLOG_INGEST_SYSLOG_MAX_CONNECTIONS: '0' },
      'ingest.syslog.max_connections ($SHIPLOG_INGEST_SYSLOG_MAX_CONNECTIONS): expected a number such as 1000, not "0"',
    ],
    [
      'TLS without its files',
      'ingest: { syslog: { tls: { listen: "0.0.0.0:6514", cert: a.pem } } }',
      {},
      'ingest.syslog.tls.key (/N.yml): tls.listen is set, so this is needed too',
    ],
    [
      'forwarding over TLS without its files',
      'ingest: { forward: { tls: { listen: "0.0.0.0:24224", key: a.key } } }',
      {},
      'ingest.forward.tls.cert (/N.yml): tls.listen is set, so this is needed too',
    ],
    [
      'a policy that there is not',
      'ingest: { spool: { when_full: drop } }',
      {},
      'ingest.spool.when_full (/N.yml): expected block or drop-oldest, not "drop"',
    ],
    [
      'a network in a list',
      'http: { trusted_proxies: [10.0.0.0/8, 10.0.0.0/33] }',
      {},
      'http.trusted_proxies.1 (/N.yml): expected a network such as 10.1.0.0/16, or an address, not "10.0.0.0/33"',
    ],
    ['a section that is a value', 'http: 5000', {}, 'http (/N.yml): expected keys below it, not 5000'],
    ['a file that has no keys', '- a', {}, '/N.yml: expected keys with values, such as "data: ./data"'],
    [
      'a pattern of repositories',
      'auth: { rules: [{ repositories: [a, "A/**"], users: [ci], actions: [pull] }] }',
      {},
      'auth.rules.0.repositories.1 (/N.yml): expected a pattern of names such as team-a/**: lower-case letters, digits, . _ - / and *, not "A/**"',
    ],
    [
      'an action that there is not',
      '',
      { SHIPLOG_AUTH_RULES: '[{ repositories: a, users: [ci], actions: [write] }]' },
      'auth.rules.0.actions.0 ($SHIPLOG_AUTH_RULES): expected pull, push or delete, not "write"',
    ],
    [
      'a rule without users',
      'auth: { rules: [{ repositories: a, actions: [pull] }] }',
      {},
      'auth.rules.0.users (/N.yml): expected a list of users, of * (who logged in) or anonymous',
    ],
    [
      'rules that are no list',
      '',
      { SHIPLOG_AUTH_RULES: '[{' },
      `auth.rules ($SHIPLOG_AUTH_RULES): expected a list such as [{ repositories: 'team-a/**', users: [ci], actions: [pull, push] }], not "[{"`,
    ],
    [
      'readers of logs who are not known',
      'auth: { log_readers: [anonymous] }',
      {},
      'auth.log_readers.0 (/N.yml): expected users: whoever does not log in cannot read logs, not "anonymous"',
    ],
    [
      'a key that can be guessed',
      'auth: { token_key: hunter2 }',
      {},
      'auth.token_key (/N.yml): expected at least 32 characters',
    ],
    [
      'a URL with a path',
      'http: { public_url: "https://corp/registry" }',
      {},
      'http.public_url (/N.yml): expected a URL without a path, such as https://registry.corp, not "https://corp/registry"',
    ],
    [
      'a sink that there is not',
      'logs: { sink: loki }',
      {},
      'logs.sink (/N.yml): expected embedded or elasticsearch, not "loki"',
    ],
    [
      'Elasticsearch without nodes',
      '',
      { SHIPLOG_LOGS_SINK: 'elasticsearch' },
      'logs.elasticsearch.nodes (/N.yml): logs.sink is elasticsearch, so this must name at least one node',
    ],
    [
      'a fingerprint for a node without TLS',
      `logs: { sink: elasticsearch, elasticsearch: { nodes: ["http://a"], ca_fingerprint: "${'ab'.repeat(32)}" } }`,
      {},
      'logs.elasticsearch.ca_fingerprint (/N.yml): a node has a URL without https',
    ],
    [
      'a fingerprint that is too short',
      'logs: { elasticsearch: { ca_fingerprint: "AB:CD" } }',
      {},
      'logs.elasticsearch.ca_fingerprint (/N.yml): expected a SHA-256 in hex, such as 4F:1A:…, not "AB:CD"',
    ],
    [
      'a user in a URL',
      'logs: { elasticsearch: { nodes: ["http://u:p@a"] } }',
      {},
      'logs.elasticsearch.nodes.0 (/N.yml): expected a URL without a user in it; use username and password, not "http://********@a"',
    ],
  ];
  test.each(cases)('%s', (_what, text, env, expected) => {
    expect(problems(text, env).replace(/\/\d+\.yml/g, '/N.yml')).toBe(expected);
  });

  test('YAML that cannot be read, with its line', () => {
    expect(problems('http: {\n')).toMatch(/at line 2/);
  });

  test('a file that is not there', () => {
    expect(() => loadConfig({ file: join(folder, 'none'), env: {} })).toThrow(/none: cannot be read: ENOENT/);
  });

  test('everything that is wrong at once', () => {
    expect(problems('http: { listen: x, nope: 1 }', { SHIPLOG_X: '1' }).split('\n')).toHaveLength(3);
  });
});

test("variables that Kubernetes sets for a service of this name, and the command line's, are no errors", () => {
  const env = {
    SHIPLOG_SERVICE_HOST: '10.0.0.1',
    SHIPLOG_SERVICE_PORT_HTTP: '5000',
    SHIPLOG_PORT: 'tcp://10.0.0.1:5000',
    SHIPLOG_PORT_5000_TCP_ADDR: '10.0.0.1',
    SHIPLOG_URL: 'http://x',
    SHIPLOG_USER: 'u',
    SHIPLOG_PASSWORD: 'p',
  };
  expect(problems('', env)).toBe('');
});

describe('secrets', () => {
  const base = 'logs: { sink: elasticsearch, elasticsearch: { nodes: ["http://a"], username: u';
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'hunter2\n');

  test.each<[string, string, Record<string, string>]>([
    ['in the file', `${base}, password: hunter2 } }`, {}],
    ['as the name of a file in the file', `${base}, password_file: secret } }`, {}],
    ['in the environment', `${base} } }`, { SHIPLOG_LOGS_ELASTICSEARCH_PASSWORD: 'hunter2' }],
    ['as the name of a file in the environment', `${base} } }`, { SHIPLOG_LOGS_ELASTICSEARCH_PASSWORD_FILE: secret }],
    ['the environment wins', `${base}, password: other } }`, { SHIPLOG_LOGS_ELASTICSEARCH_PASSWORD_FILE: secret }],
  ])('%s', (_what, text, env) => {
    const config = load(text, env);
    expect(config.logs).toMatchObject({ elasticsearch: { password: 'hunter2' } });
    expect(printConfig(config)).not.toContain('hunter2');
    expect(parse(printConfig(config))).toMatchObject({ logs: { elasticsearch: { password: '********' } } });
  });

  test('given twice, without their user, or beside a key, are errors; none shows a secret', () => {
    const answers = [
      problems(`${base}, password: hunter2, password_file: secret } }`),
      problems(`${base}, password: hunter2, api_key: hunter2 } }`),
      problems(`${base} } }`),
      problems(`${base}, password: [hunter2] } }`),
      problems(`${base}, password_file: missing } }`),
      problems(`${base} } }`, {
        SHIPLOG_LOGS_ELASTICSEARCH_PASSWORD_FILE: secret,
        SHIPLOG_LOGS_ELASTICSEARCH_PASSWORD: 'hunter2',
      }),
    ];
    expect(answers.join('\n')).not.toContain('hunter2');
    expect(
      answers.map((answer) => /(not both|is needed too|expected a text|cannot be read)/.exec(answer)?.[1]),
    ).toEqual(['not both', 'not both', 'is needed too', 'expected a text', 'cannot be read', 'not both']);
  });
});

test('what check-config prints brings about the same configuration', () => {
  const listen = fc.record({ host: fc.constantFrom('127.0.0.1', '[::1]', 'localhost'), port: fc.nat(65_535) });
  const configs = fc.record({
    listen: listen.map(({ host, port }) => `${host}:${port}`),
    tcp: fc.constantFrom('off', '0.0.0.0:514'),
    seconds: fc.nat(10_000_000),
    bytes: fc.nat(2 ** 31),
    remove: fc.boolean(),
    cluster: fc.string({ minLength: 1 }),
    rules: fc.array(
      fc.record({
        repositories: fc.constantFrom<string | string[]>('**', ['a', 'team-*/web']),
        users: fc.array(fc.string({ minLength: 1 })),
        actions: fc.subarray(['pull', 'push', 'delete']),
      }),
    ),
  });
  fc.assert(
    fc.property(configs, ({ listen, tcp, seconds, bytes, remove, cluster, rules }) => {
      const config = load(
        JSON.stringify({
          http: { listen, public_url: 'https://registry.corp/', idle_timeout: `${seconds}s` },
          auth: { rules },
          storage: { delete: remove },
          ingest: { syslog: { tcp }, spool: { max_size: `${bytes}B` }, tags: { cluster } },
        }),
      );
      expect(load(printConfig(config))).toEqual(config);
    }),
    { numRuns: 50 },
  );
});

test('a bucket that no driver is told to use is a contradiction, not silence', () => {
  expect(problems('storage: { s3: { bucket: images } }')).toMatch(
    /^storage\.driver \(.*\): storage\.s3\.bucket is given, so this must be s3; else leave that out$/,
  );
});

test('two listeners of one address are told by their keys; UDP may have the port of TCP', () => {
  const address = '"127.0.0.1:12201"';
  const text = `{ http: { listen: "127.0.0.1:5514" }, ingest: { syslog: { udp: ${address} }, gelf: { tcp: ${address}, udp: ${address} } } }`;
  const found = problems(text).split('\n');
  expect(found).toEqual([
    expect.stringMatching(/^ingest\.syslog\.tcp .*: http\.listen is 127\.0\.0\.1:5514 too$/),
    expect.stringMatching(/^ingest\.gelf\.udp \(.*\): ingest\.syslog\.udp is 127\.0\.0\.1:12201 too$/),
  ]);
});
