import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { hash } from 'bcryptjs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Running, shiplogProcess, spawnShiplog } from '../support/command.ts';
import { freePort } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { run } from './support/process.ts';

let folder: string;
let docker: Docker;
let server: Running;
let env: Record<string, string>;
/** The registry, as it stands in images' names, and where logs are sent. */
let [host, syslog]: string[] = [];
/** The commands of docs/tls.md, block by block, as one would type them here. */
let blocks: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-tls-'));
  // Docker trusts 127.0.0.1, whatever it shows.
  docker = await startDocker({ hosts: '127.0.0.1 localhost\n::1 registry.corp\n' });
  const [httpPort, syslogPort] = [await freePort(), await freePort()];
  [host, syslog] = [`registry.corp:${httpPort}`, `registry.corp:${syslogPort}`];
  const page = await readFile(resolve(import.meta.dirname, '../../docs/tls.md'), 'utf8');
  blocks = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = '']) =>
    block
      .replaceAll('/etc/docker', docker.etc)
      .replaceAll('registry.corp:5000', host ?? '')
      .replaceAll('registry.corp:6514', syslog ?? ''),
  );
  await shell(blocks[0] ?? '');

  env = {
    SHIPLOG_DATA: folder,
    SHIPLOG_HTTP_LISTEN: `[::1]:${httpPort}`,
    SHIPLOG_HTTP_TLS_CERT: join(folder, 'tls.crt'),
    SHIPLOG_HTTP_TLS_KEY: join(folder, 'tls.key'),
    SHIPLOG_INGEST_SYSLOG_TCP: 'off',
    SHIPLOG_INGEST_SYSLOG_UDP: 'off',
    SHIPLOG_INGEST_SYSLOG_TLS_LISTEN: `[::1]:${syslogPort}`,
    SHIPLOG_INGEST_SYSLOG_TLS_CERT: join(folder, 'tls.crt'),
    SHIPLOG_INGEST_SYSLOG_TLS_KEY: join(folder, 'tls.key'),
  };
  await writeFile(join(folder, 'htpasswd'), `ci:${await hash('right', 4)}\n`);
  server = spawnShiplog(['serve'], env);
  await server.logged('started');
});
afterAll(async () => {
  await docker?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Runs a block of commands in the folder. */
function shell(script: string, input = ''): Promise<string> {
  return run('/bin/sh', ['-ec', `cd ${folder}\n${script}`], { env: { ...docker.env }, input });
}

test('what OpenSSL made is a certificate that the strictest check takes', async () => {
  expect(await shell('openssl verify -x509_strict -verify_hostname registry.corp -CAfile ca.crt tls.crt')).toBe(
    'tls.crt: OK\n',
  );
});

test('Docker refuses a registry whose authority it was not told of', async () => {
  await expect(docker.cli(['login', '--username=ci', '--password=right', host ?? ''])).rejects.toThrow(/x509: /);
});

test('Docker logs in, pushes and pulls once it was told', async () => {
  const login = blocks[1]?.replace('docker login', 'docker login --username ci --password-stdin') ?? '';
  expect(await shell(login, 'right')).toMatch(/Login Succeeded/);
  const image = `${host}/team/web:1.4`;
  await docker.buildBusybox(image);
  await docker.cli(['push', image]);
  await docker.cli(['rmi', image]);
  await docker.cli(['pull', image]);
});

test('Docker sends logs over TLS, which the command line finds', async () => {
  await shell((blocks[2] ?? '').replace('docker run', 'docker run --rm --network=host'));
  await vi.waitFor(
    async () => {
      const { stdout } = await shiplogProcess(['logs', '--json', 'image:team/web hello'], env);
      expect(JSON.parse(stdout)).toMatchObject({ message: 'hello', container: { image: { tag: ['1.4'] } } });
    },
    { timeout: 20_000, interval: 200 },
  );
});

test('the command line takes the certificate for no other name, and on its machine for what it is', async () => {
  const url = `https://${(host ?? '').replace('registry.corp', '[::1]')}`;
  const other = await shiplogProcess(['ls', '--url', url, '--ca', join(folder, 'ca.crt'), '--user', 'ci:right']);
  // The certificate is for registry.corp alone.
  expect(other).toMatchObject({ code: 1, stderr: expect.stringMatching(/Hostname\/IP does not match certificate/) });
  expect(await shiplogProcess(['ls'], env)).toMatchObject({ code: 0, stdout: expect.stringContaining('team/web') });
});
