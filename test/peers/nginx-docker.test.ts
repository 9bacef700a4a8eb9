import { copyFile, mkdir, mkdtempDisposable, rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, search } from '../support/search.ts';
import { freePort } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { authorization, type Front, startFront } from './support/front.ts';
import { run } from './support/process.ts';
import { account } from './support/shiplog.ts';

/** An address of this machine that Docker does not take for its own: to the loopback it speaks TLS without checking. */
function outerAddress(): string {
  const found = Object.values(networkInterfaces())
    .flat()
    .find((at) => at?.family === 'IPv4' && !at.internal);
  if (found === undefined) throw new Error('this machine has no address but the loopback');
  return found.address;
}

const stack = new AsyncDisposableStack();
const address = outerAddress();
let docker: Docker;
let folder: string;
let certificate: { cert: string; key: string };
beforeAll(async () => {
  folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'shiplog-authority-'))).path;
  certificate = await makeCertificate();
  docker = stack.use(await startDocker({ hosts: '127.0.0.1 localhost\n' }));
});
afterAll(() => stack.disposeAsync());

/** An authority of our own and a certificate by it, as docs/tls.md makes them. */
async function makeCertificate(): Promise<{ cert: string; key: string }> {
  const at = (name: string): string => join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];
  const ca = ['-days', '3650', '-subj', '/CN=our certificates', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  await run('openssl', ['req', '-x509', ...key, ...ca, '-keyout', at('ca.key'), '-out', at('ca.crt')]);
  const made = { cert: at('tls.crt'), key: at('tls.key') };
  const signed = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-days', '825', '-subj', '/CN=registry.corp'];
  const extensions = [`subjectAltName=IP:${address}`, 'basicConstraints=critical,CA:FALSE'];
  const more = extensions.flatMap((extension) => ['-addext', extension]);
  await run('openssl', ['req', '-x509', ...signed, ...key, ...more, '-keyout', made.key, '-out', made.cert]);
  return made;
}

/** Tells Docker of the authority, in the one place where it looks. */
async function trust(host: string): Promise<AsyncDisposable> {
  const certs = join(docker.etc, 'certs.d', host);
  await mkdir(certs, { recursive: true });
  await copyFile(join(folder, 'ca.crt'), join(certs, 'ca.crt'));
  return { [Symbol.asyncDispose]: () => rm(certs, { recursive: true }) };
}

/** Where a container's line came from, as shiplog knows it. */
async function sourceOf({ servers }: Front, name: string): Promise<unknown> {
  const records = await eventually(
    () => search(servers[0], `container:${name}`, authorization),
    (found) => found.length > 0,
  );
  expect(records.map(({ message }) => message)).toEqual(['hello']);
  return records[0]?.['source'];
}

describe.each([false, true])('syslog’s TLS passed through: %s', (passesTls) => {
  test('Docker logs in, pushes, pulls and logs over TLS, by an authority of our own', async () => {
    const settings: Record<string, string> = passesTls
      ? {
          SHIPLOG_INGEST_SYSLOG_TLS_LISTEN: `127.0.0.1:${await freePort()}`,
          SHIPLOG_INGEST_SYSLOG_TLS_CERT: certificate.cert,
          SHIPLOG_INGEST_SYSLOG_TLS_KEY: certificate.key,
        }
      : {};
    await using front = await startFront({ address, certificate, passesTls, settings });
    const { host, syslogPort, syslogTlsPort } = front.nginx;
    const image = `${host}/team/web:1`;
    const login = (): Promise<string> =>
      docker.cli(['login', '--username', account.name, '--password-stdin', host], account.password);
    await expect(login()).rejects.toThrow('certificate signed by unknown authority');
    await using _trust = await trust(host);
    expect(await login()).toContain('Login Succeeded');

    await docker.buildBusybox(image);
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(await docker.cli(['push', image]))?.[1];
    await docker.cli(['system', 'prune', '--all', '--force']);
    expect(await docker.cli(['pull', image])).toContain(`Digest: ${digest}`);
    const pulled = (await front.nginx.requests()).filter(
      ({ path, method }) => method === 'GET' && /\/blobs\//.test(path),
    );
    expect(pulled.length).toBeGreaterThan(0);
    expect(pulled.map(({ received }) => received)).toEqual(pulled.map(() => 0));

    const tag = 'tag=v1|{{.FullID}}|{{.Name}}|{{.ImageName}}|{{.ImageFullID}}|{{.Hostname}}|prod';
    const ways = {
      tcp: [`syslog-address=tcp://${address}:${syslogPort}`],
      tls: [`syslog-address=tcp+tls://${address}:${syslogTlsPort}`, `syslog-tls-ca-cert=${join(folder, 'ca.crt')}`],
    };
    for (const [way, options] of Object.entries(ways)) {
      const name = `front-${way}-${passesTls}`;
      const driver = [...options, tag, 'syslog-format=rfc5424micro'].flatMap((option) => ['--log-opt', option]);
      await docker.run(image, ['echo', 'hello'], ['--log-driver=syslog', ...driver, '--name', name]);
      expect(await sourceOf(front, name)).toMatchObject({ ip: address });
    }
    await docker.cli(['logout', host]);
  });
});

test('metrics are for this machine alone, however the path is written', async () => {
  await using front = await startFront({ address, certificate });
  const { plainHost, host } = front.nginx;
  const headers = { authorization };
  expect((await fetch(`http://${plainHost}/metrics`, { headers })).status).toBe(200);
  const ca = join(folder, 'ca.crt');
  for (const path of [
    '/metrics',
    '/metrics/',
    '/Metrics',
    '//metrics',
    '/%6detrics',
    '/v2/..%2fmetrics',
    '/metrics?a',
  ]) {
    const options = ['--silent', '--path-as-is', '--cacert', ca, '--user', `${account.name}:${account.password}`];
    const status = await run('curl', [
      ...options,
      '--output',
      '/dev/null',
      '--write-out',
      '%{http_code}',
      `https://${host}${path}`,
    ]);
    expect([path, status]).toEqual([path, '403']);
  }
});
