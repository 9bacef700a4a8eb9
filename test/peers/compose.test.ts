import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { shiplogProcess } from '../support/command.ts';
import { dockerCompose } from './support/compose.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { machineImages } from './support/machine-images.ts';
import { run } from './support/process.ts';

const source = resolve(import.meta.dirname, '../..');

/** What a test has otherwise: images of this machine, no ports of it, and no Elasticsearch. */
const override = `
services:
  shiplog:
    build: { network: host }
    ports: !reset []
    environment: { SHIPLOG_LOGS_SINK: embedded }
    healthcheck: { interval: 1s }
    depends_on: !override { first-user: { condition: service_completed_successfully } }
  nginx: { ports: !reset [], healthcheck: { interval: 1s } }
`;
const overrideS3 = `
services:
  shiplog: { depends_on: { s3: { condition: service_healthy } } }
  shiplog-2:
    ports: !reset []
    environment: { SHIPLOG_LOGS_SINK: embedded }
    depends_on: !override { shiplog: { condition: service_healthy } }
`;

let folder: string;
let docker: Docker;
let program: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-compose-'));
  program = await dockerCompose();
  docker = await startDocker({
    storageDriver: 'overlay2',
    hosts: '127.0.0.1 localhost\n172.30.51.2 registry.corp\n',
  });
  const files = ['Dockerfile', '.dockerignore', 'docker-compose.yml', 'compose.s3.yml', 'nginx', 'deploy'];
  const sources = ['package.json', 'package-lock.json', '.npmrc', 'LICENSE', 'src', 'storage', 'ingest'];
  for (const name of [...files, ...sources]) await cp(join(source, name), join(folder, name), { recursive: true });
  await writeFile(join(folder, 'test.yml'), override);
  await writeFile(join(folder, 'test.s3.yml'), overrideS3);
  const example = await readFile(join(source, '.env.example'), 'utf8');
  await writeFile(join(folder, '.env'), example.replaceAll(/^(\w+)=$/gm, '$1=0123456789abcdef0123456789abcdef'));

  const page = await readFile(join(source, 'docs/tls.md'), 'utf8');
  await mkdir(join(folder, 'certificates'));
  await run('/bin/sh', [
    '-ec',
    `cd ${folder}/certificates\n${/^```sh\n([^]*?)^```$/m.exec(page)?.[1]}chmod 644 tls.key`,
  ]);
  const trusted = join(docker.etc, 'certs.d/registry.corp');
  await mkdir(trusted, { recursive: true });
  await cp(join(folder, 'certificates/ca.crt'), join(trusted, 'ca.crt'));

  await machineImages.node(docker, 'node:24-slim');
  await machineImages.nginx(docker, 'nginx:1.29');
  await machineImages.versitygw(docker, 'ghcr.io/versity/versitygw:v1.8.0');
}, 900_000);
afterAll(async () => {
  await docker?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Runs `docker compose` on some of its files. */
function compose(files: readonly string[], ...args: string[]): Promise<string> {
  const named = files.flatMap((file) => ['--file', join(folder, file)]);
  // BuildKit wants a plugin beside Compose.
  return run(program, ['--progress=quiet', ...named, ...args], { env: { ...docker.env, DOCKER_BUILDKIT: '0' } });
}

describe.each([
  { of: 'one shiplog', files: ['docker-compose.yml', 'test.yml'], services: ['nginx', 'shiplog'] },
  {
    of: 'two shiplogs and a bucket',
    files: ['docker-compose.yml', 'compose.s3.yml', 'test.yml', 'test.s3.yml'],
    services: ['nginx', 's3', 'shiplog', 'shiplog-2'],
  },
])('a composition of $of', ({ files, services }) => {
  let password: string;
  beforeAll(() => compose(files, 'up', '--detach', '--build', '--quiet-pull', ...services), 600_000);
  afterAll(() => compose(files, 'down', '--volumes', '--timeout=60'));

  test('becomes healthy', async () => {
    await vi
      .waitFor(
        async () => {
          const states = (await compose(files, 'ps', '--format={{.Service}} {{.Health}}')).trim().split('\n');
          expect(states.toSorted()).toEqual(services.map((name) => `${name} healthy`));
        },
        { timeout: 90_000, interval: 1000 },
      )
      .catch(async (cause: unknown) => {
        throw new Error(await compose(files, 'logs'), { cause });
      });
  });

  test('prints the password of a first user, once', async () => {
    const printed = await compose(files, 'logs', '--no-log-prefix', 'first-user');
    password = /^user: admin {2}password: (\S{24})$/m.exec(printed)?.[1] ?? '';
    expect(password).not.toBe('');
    await compose(files, 'up', '--detach', 'first-user');
    await vi.waitFor(async () => {
      expect((await compose(files, 'logs', '--no-log-prefix', 'first-user')).match(/password: /g)).toHaveLength(1);
    });
  });

  test('takes an image through nginx and gives it back', async () => {
    const image = 'registry.corp/team/web:1.4';
    await vi.waitFor(() => docker.cli(['login', '--username=admin', '--password-stdin', 'registry.corp'], password), {
      timeout: 60_000,
      interval: 500,
    });
    await docker.buildBusybox(image);
    await docker.cli(['push', image]);
    await docker.cli(['rmi', image]);
    await docker.cli(['pull', image]);
  });

  test('finds lines that came by TCP, TLS and UDP', async () => {
    const tls = [`syslog-tls-ca-cert=${folder}/certificates/ca.crt`];
    for (const [message, options] of [
      ['by TCP', ['syslog-address=tcp://registry.corp:514']],
      ['by TLS', ['syslog-address=tcp+tls://registry.corp:6514', ...tls]],
    ] as const) {
      const logging = options.map((option) => `--log-opt=${option}`);
      await docker.run('registry.corp/team/web:1.4', ['echo', message], ['--log-driver=syslog', ...logging]);
    }
    await using socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.send('<14>1 - here app - - - by UDP', 5514, '172.30.51.3', (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    const found = async (): Promise<string> => {
      const answers = ['shiplog', 'shiplog-2'].filter((name) => name === 'shiplog' || files.includes('compose.s3.yml'));
      const logs = answers.map((name) => compose(files, 'exec', '-T', name, 'shiplog', 'logs', '--json'));
      return (await Promise.all(logs)).join('');
    };
    await vi.waitFor(
      async () => {
        const text = await found();
        for (const way of ['by TCP', 'by TLS', 'by UDP']) expect(text).toContain(way);
      },
      { timeout: 20_000, interval: 500 },
    );
  });

  test('writes nowhere but where it should, as nobody in particular, into a log that is not its own', async () => {
    const ids = (await compose(files, 'ps', '--all', '--quiet')).trim().split('\n');
    const containers = JSON.parse(await docker.cli(['inspect', ...ids]));
    expect(containers.length).toBeGreaterThan(2);
    for (const { HostConfig: host, Config: config } of containers) {
      expect(host).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'], LogConfig: { Type: 'local' } });
      expect(host.Memory).toBeGreaterThan(0);
      expect(config.User).toBe('1001:1001');
    }
  });
});

describe('what cannot be had here', () => {
  /** The services as Compose understands them. */
  async function services(files: readonly string[]): Promise<Record<string, Service>> {
    const { services }: { services: Record<string, Service> } = JSON.parse(
      await compose(files, '--profile=*', 'config', '--format=json'),
    );
    return services;
  }
  interface Service {
    readonly environment: Readonly<Record<string, string>>;
    readonly command: readonly string[] | null;
    readonly logging: { readonly driver: string };
    readonly mem_limit: string;
  }

  test('has bounds, and a log of its own: each service', async () => {
    const all = await services(['docker-compose.yml', 'compose.s3.yml']);
    expect(Object.keys(all).toSorted()).toEqual(
      'bucket elasticsearch elasticsearch-setup first-user kibana kibana-setup nginx s3 shiplog shiplog-2'.split(' '),
    );
    for (const [name, { logging, mem_limit }] of Object.entries(all)) {
      expect([name, logging.driver, Number(mem_limit) > 0]).toEqual([name, 'local', true]);
    }
  });

  test.each(['shiplog', 'kibana-setup'])('is configured by keys that there are: %s', async (name) => {
    const { environment } = (await services(['docker-compose.yml']))[name] ?? { environment: {} };
    const { code, stdout } = await shiplogProcess(['check-config'], environment);
    expect([code, stdout]).toEqual([0, expect.stringContaining('http://elasticsearch:9200')]);
  });
});
