import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Config, loadConfig } from '../../src/config.ts';
import { shiplog } from '../support/command.ts';

const folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
afterAll(() => rm(folder, { recursive: true }));

/** Translates a file (without one, the environment alone), and loads what comes out. */
async function translate(
  file: string | undefined,
  env: Record<string, string> = {},
): Promise<{ config: Config; text: string; stderr: string }> {
  const [from, to] = [join(folder, 'config.yml'), join(folder, 'shiplog.yml')];
  if (file !== undefined) await writeFile(from, file);
  const { code, stdout, stderr } = await shiplog(['import-config', ...(file === undefined ? [] : [from])], env);
  expect(stderr).not.toMatch(/^shiplog:/);
  expect(code).toBe(0);
  await writeFile(to, stdout);
  return { config: loadConfig({ file: to, env: {} }), text: stdout, stderr };
}

/** Lines of the comment that says what is left out. */
function leftOut(text: string): string[] {
  const [, list = ''] = text.split('# Left out:\n');
  return list.split('\n').flatMap((line) => (line === '' ? [] : [line.replace(/^# {3}/, '')]));
}

test('a configuration on disk with users comes out as one that does the same', async () => {
  const { config, text, stderr } = await translate(`
    version: 0.1
    storage:
      filesystem: { rootdirectory: /srv/registry }
      delete: { enabled: yes }
      maintenance: { readonly: { enabled: true } }
    http: { addr: 127.0.0.1:5001, host: https://registry.corp, net: tcp, draintimeout: 20s }
    auth: { htpasswd: { path: /etc/registry/htpasswd } }
  `);
  expect(config).toMatchObject({
    http: { listen: { host: '127.0.0.1', port: 5001 }, public_url: 'https://registry.corp', shutdown_grace: 20_000 },
    auth: { htpasswd: '/etc/registry/htpasswd' },
    storage: { driver: 'disk', delete: true, read_only: true, disk: { root: '/srv/registry' } },
  });
  expect([leftOut(text), stderr]).toEqual([[], '']);
});

test('what is not said is as registry:2 has it, not as shiplog does', async () => {
  const { config, stderr } = await translate('version: 0.1\nstorage: { filesystem: }\n');
  expect(config).toMatchObject({
    http: { listen: { host: '0.0.0.0', port: 5000 } },
    storage: { delete: false, read_only: false, disk: { root: '/var/lib/registry' } },
  });
  expect(stderr).toContain('npx shiplog htpasswd NAME');
});

describe('a bucket', () => {
  const s3 = `s3:
      bucket: images
      region: eu-central-1
      accesskey: AKIA
      secretkey: 0123456789
      rootdirectory: /docker/here/
      encrypt: true
      storageclass: STANDARD_IA
      chunksize: 5242880
      skipverify: true`;

  test('keeps its keys, credentials and where in it the images are; the secret is told of, not shown', async () => {
    for (const name of ['s3', 's3aws']) {
      const { config, text, stderr } = await translate(
        `version: 0.1\nstorage:\n    ${s3.replace('s3:', `${name}:`)}\n`,
      );
      expect(config.storage).toMatchObject({
        driver: 's3',
        s3: {
          bucket: 'images',
          region: 'eu-central-1',
          access_key_id: 'AKIA',
          secret_access_key: '0123456789',
          prefix: 'docker/here',
          sse: 'AES256',
          storage_class: 'STANDARD_IA',
          force_path_style: false,
        },
      });
      expect(leftOut(text)).toEqual([
        expect.stringMatching(/^storage\.s3\w*\.chunksize: parts/),
        expect.stringMatching(/^storage\.s3\w*\.skipverify: .*storage\.s3\.ca/),
      ]);
      expect(stderr).toContain('secret_access_key_file');
      expect(stderr).not.toContain('0123456789');
    }
  });

  test.each([
    ['minio:9000', '', 'https://minio:9000', true],
    ['minio:9000', 'secure: false', 'http://minio:9000', true],
    ['http://minio:9000', 'forcepathstyle: false', 'http://minio:9000', false],
  ])('the endpoint %s (%s) is %s', async (endpoint, more, expected, pathStyle) => {
    const lines = ['bucket: images', `regionendpoint: ${endpoint}`, more].map((line) => `      ${line}\n`).join('');
    const { config } = await translate(`version: 0.1\nstorage:\n    s3:\n${lines}`);
    expect(config.storage).toMatchObject({ s3: { endpoint: expected, force_path_style: pathStyle } });
  });

  test('a key of KMS is kept, and what shiplog cannot use is left out with the reason', async () => {
    const { config, text } = await translate(`
      version: 0.1
      storage: { s3: { bucket: images, encrypt: true, keyid: arn:key, storageclass: GLACIER } }
      http: { host: 'https://registry.corp/docker', addr: ':https' }
    `);
    expect(config.storage).toMatchObject({ s3: { sse: 'aws:kms', kms_key_id: 'arn:key' } });
    expect(leftOut(text)).toEqual([
      expect.stringMatching(/^http\.addr: it cannot be http\.listen: /),
      expect.stringMatching(/^http\.host: it cannot be http\.public_url: /),
      expect.stringMatching(/^storage\.s3\.storageclass: it cannot be storage\.s3\.storage_class: /),
    ]);
  });

  test('half of a log-in is told', async () => {
    const { code, stderr } = await shiplog(['import-config'], {
      REGISTRY_STORAGE: 's3',
      REGISTRY_STORAGE_S3_BUCKET: 'images',
      REGISTRY_STORAGE_S3_ACCESSKEY: 'AKIA',
    });
    expect([code, stderr]).toEqual([0, expect.stringContaining('storage.s3.secret_access_key: ')]);
  });
});

describe('the environment', () => {
  test('alone is on top of what registry:2’s image has', async () => {
    const { config } = await translate(undefined, {
      REGISTRY_AUTH: 'htpasswd',
      REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd',
      REGISTRY_HTTP_ADDR: 'localhost:5555',
      REGISTRY_STORAGE_DELETE_ENABLED: 'true',
      REGISTRY_STORAGE_MAINTENANCE_READONLY: '{"enabled":true}',
      // What Kubernetes sets for a service of that name, and others.
      REGISTRY_PORT: 'tcp://10.0.0.1:5000',
      REGISTRY_SERVICE_HOST: '10.0.0.1',
      PATH: '/bin',
    });
    expect(config).toMatchObject({
      http: { listen: { host: 'localhost', port: 5555 } },
      auth: { htpasswd: '/auth/htpasswd' },
      storage: { delete: true, read_only: true, disk: { root: '/var/lib/registry' } },
    });
  });

  test('wins over the file, another driver too', async () => {
    const { config, text } = await translate('version: 0.1\nstorage: { filesystem: { rootdirectory: /a } }\n', {
      REGISTRY_STORAGE_S3_BUCKET: 'images',
      REGISTRY_STORAGE: 's3',
    });
    expect(config.storage).toMatchObject({ driver: 's3', s3: { bucket: 'images' } });
    expect(leftOut(text)).toEqual([]);
  });
});

test('each setting without a counterpart is named with the reason, and without its value', async () => {
  const { text } = await translate(`
    version: 0.1
    log: { level: info }
    storage: { filesystem: { rootdirectory: /a }, cache: { blobdescriptor: redis }, redirect: { disable: true } }
    http: { secret: hidden-1, tls: { certificate: /c }, headers: { X-A: [hidden-2] } }
    auth: { token: { realm: hidden-3 } }
    redis: { password: hidden-4 }
    notifications: { endpoints: [{ url: hidden-5 }] }
    "new\\nauth: x": { y: hidden-6 }
  `);
  expect(leftOut(text).map((line) => line.split(': ')[0])).toEqual([
    'log.level',
    'storage.cache.blobdescriptor',
    'storage.redirect.disable',
    'http.secret',
    'http.tls.certificate',
    'http.headers.X-A.0',
    'auth.token.realm',
    'redis.password',
    'notifications.endpoints.0.url',
    'new\\x0aauth',
  ]);
  for (const line of leftOut(text)) expect(line).toMatch(/: .{10}/);
  expect(text).not.toContain('hidden');
});

test.each<[what: string, text: string, stderr: RegExp]>([
  ['what is no YAML', 'a: [', /config\.yml: /],
  ['what is no settings', 'just words', /config\.yml: expected settings/],
  [
    'two drivers',
    'storage: { s3: { bucket: images }, filesystem: { rootdirectory: /a } }',
    /several drivers: s3, filesystem/,
  ],
])('%s is refused in a sentence', async (_what, text, stderr) => {
  const file = join(folder, 'config.yml');
  await writeFile(file, text);
  expect(await shiplog(['import-config', file])).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(stderr),
  });
});

test('what matters of what is left out is told on stderr too, a line each; what does not is not', async () => {
  const { stderr } = await translate(`
    version: 0.1
    log: { level: info, fields: { service: registry } }
    storage: { filesystem: { rootdirectory: /a }, cache: { blobdescriptor: inmemory } }
    http: { host: 'https://registry.corp/docker', tls: { certificate: /c, key: /k }, secret: x, debug: { addr: ':1' } }
    auth: { htpasswd: { realm: x, path: /users } }
    proxy: { remoteurl: https://registry-1.docker.io, username: hidden }
    notifications: { endpoints: [{ name: a, url: hidden }] }
    health: { storagedriver: { enabled: true } }
    policy: { repository: { classes: [image] } }
  `);
  expect(stderr.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^left out: http\.tls: let a proxy in front/),
    expect.stringMatching(/^left out: proxy: it is no mirror/),
    expect.stringMatching(/^left out: notifications: there are no/),
    expect.stringMatching(/^left out: policy\.repository\.classes\.0: there is nothing like it/),
    expect.stringMatching(/^left out: http\.host: it cannot be http\.public_url: /),
  ]);
});

test('a file that cannot be read is named', async () => {
  for (const file of [join(folder, 'nope'), folder]) {
    expect(await shiplog(['import-config', file])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(new RegExp(`^shiplog: ${file} cannot be read: E\\w+: `)),
    });
  }
});

test.each(['azure', 'gcs', 'swift', 'oss', 'inmemory'])(
  'the driver %s, which shiplog lacks, is refused',
  async (driver) => {
    const file = join(folder, 'config.yml');
    await writeFile(file, `version: 0.1\nstorage: { ${driver}: { container: images } }\n`);
    const refused = { code: 1, stdout: '', stderr: expect.stringContaining(`there is no storage.${driver} here`) };
    expect(await shiplog(['import-config', file])).toMatchObject(refused);
    expect(await shiplog(['import-config'], { REGISTRY_STORAGE: driver })).toMatchObject(refused);
  },
);
