import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { shiplogProcess } from '../support/command.ts';
import { type ScriptedKibana, startKibana } from '../support/scripted-kibana.ts';
import { dockerCompose } from './support/compose.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { type Elasticsearch, startElasticsearch } from './support/elasticsearch.ts';
import { openGate } from './support/gate.ts';
import { machineImages } from './support/machine-images.ts';
import { run } from './support/process.ts';

const source = resolve(import.meta.dirname, '../..');

/** A network that nothing of this machine is in, not even what a run that was killed has left; docker-compose.yml has 172.30.51. */
async function freeNetwork(): Promise<string> {
  // Destinations are in hexadecimal, the last byte first.
  const routes = await readFile('/proc/net/route', 'utf8');
  const numbers = Array.from({ length: 256 }, (_, number) => number);
  const free = numbers.filter((number) => !routes.includes(`00${hex(number)}1EAC`));
  return `172.30.${free[randomInt(free.length)]}`;
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0').toUpperCase();

/** What a test has otherwise: images of this machine, no ports of it, and an Elasticsearch and a Kibana outside. */
const override = (network: string): string => `
services:
  shiplog:
    build: { network: host }
    ports: !reset []
    extra_hosts: ['elasticsearch:${network}.1']
    healthcheck: { interval: 1s }
  elasticsearch-setup: { extra_hosts: ['elasticsearch:${network}.1'], depends_on: !reset {} }
  kibana-setup: { extra_hosts: ['kibana:${network}.1'], depends_on: !reset {} }
  nginx: { ports: !reset [], healthcheck: { interval: 1s } }
networks:
  default:
    ipam: { config: !override [{ subnet: ${network}.0/24, ip_range: ${network}.128/25, gateway: ${network}.1 }] }
`;
const overrideS3 = (network: string): string => `
services:
  shiplog-2:
    ports: !reset []
    extra_hosts: ['elasticsearch:${network}.1']
    depends_on: !override { shiplog: { condition: service_healthy } }
`;

let folder: string;
let docker: Docker;
let program: string;
let network: string;
let passwords: Record<string, string>;
let elasticsearch: Elasticsearch;
beforeAll(async () => {
  network = await freeNetwork();
  folder = await mkdtemp(join(tmpdir(), 'shiplog-compose-'));
  program = await dockerCompose();
  docker = await startDocker({
    storageDriver: 'overlay2',
    hosts: `127.0.0.1 localhost\n${network}.2 registry.corp\n`,
  });
  const files = ['Dockerfile', '.dockerignore', 'docker-compose.yml', 'compose.s3.yml', 'nginx', 'deploy'];
  const sources = ['package.json', 'package-lock.json', '.npmrc', 'LICENSE', 'src', 'storage', 'ingest'];
  for (const name of [...files, ...sources]) await cp(join(source, name), join(folder, name), { recursive: true });
  for (const name of ['docker-compose.yml', 'compose.s3.yml']) {
    const text = await readFile(join(source, name), 'utf8');
    await writeFile(join(folder, name), text.replaceAll('172.30.51.', `${network}.`));
  }
  await writeFile(join(folder, 'test.yml'), override(network));
  await writeFile(join(folder, 'test.s3.yml'), overrideS3(network));
  const example = await readFile(join(source, '.env.example'), 'utf8');
  passwords = Object.fromEntries(
    Array.from(example.matchAll(/^(\w+)=$/gm), ([, name = '']) => [name, randomBytes(16).toString('hex')]),
  );
  await writeFile(
    join(folder, '.env'),
    example.replaceAll(/^(\w+)=$/gm, (_, name: string) => `${name}=${passwords[name]}`),
  );

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
  await machineImages.curl(docker, 'docker.elastic.co/elasticsearch/elasticsearch:9.4.3');
  elasticsearch = await startElasticsearch({ password: passwords['ELASTIC_PASSWORD'] ?? '' });
}, 900_000);
afterAll(async () => {
  await elasticsearch?.[Symbol.asyncDispose]();
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
])('a composition of $of', ({ of, files, services }) => {
  const outside = new AsyncDisposableStack();
  let password: string;
  let kibana: ScriptedKibana;
  beforeAll(async () => {
    // Makes the network.
    await compose(files, 'create', '--build', '--quiet-pull', ...services, 'kibana-setup');
    kibana = outside.use(await startKibana());
    const host = `${network}.1`;
    outside.use(await openGate(elasticsearch.url, { host, port: 9200 }));
    outside.use(await openGate(kibana.url, { host, port: 5601 }));
    await compose(files, 'up', '--detach', ...services);
  }, 600_000);
  afterAll(async () => {
    await compose(files, 'down', '--volumes', '--timeout=60');
    await outside.disposeAsync();
  });

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
      [`by TCP to ${of}`, ['syslog-address=tcp://registry.corp:514']],
      [`by TLS to ${of}`, ['syslog-address=tcp+tls://registry.corp:6514', ...tls]],
    ] as const) {
      const logging = options.map((option) => `--log-opt=${option}`);
      await docker.run('registry.corp/team/web:1.4', ['echo', message], ['--log-driver=syslog', ...logging]);
    }
    await using socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.send(`<14>1 - here app - - - by UDP to ${of}`, 5514, `${network}.3`, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    await vi.waitFor(
      async () => {
        const found = await compose(files, 'exec', '-T', 'shiplog', 'shiplog', 'logs', '--json');
        for (const way of ['TCP', 'TLS', 'UDP']) expect(found).toContain(`by ${way} to ${of}`);
      },
      { timeout: 20_000, interval: 500 },
    );
  });

  test('has users in Elasticsearch for shiplog, which may do what it needs, and for Kibana', async () => {
    const as = async (user: string, name: string): Promise<unknown> => {
      const authorization = `Basic ${Buffer.from(`${user}:${passwords[name]}`).toString('base64')}`;
      return (await fetch(`${elasticsearch.url}/_security/_authenticate`, { headers: { authorization } })).json();
    };
    expect(await as('shiplog', 'SHIPLOG_PASSWORD')).toMatchObject({ username: 'shiplog', roles: ['shiplog'] });
    expect(await as('kibana_system', 'KIBANA_PASSWORD')).toMatchObject({ username: 'kibana_system' });
    await compose(files, 'exec', '-T', 'shiplog', 'shiplog', 'doctor');
  });

  test('gives Kibana a data view, a search and a dashboard', async () => {
    await compose(files, 'run', '--rm', '--no-deps', '-T', 'kibana-setup');
    const authorization = `Basic ${Buffer.from(`elastic:${passwords['ELASTIC_PASSWORD']}`).toString('base64')}`;
    expect(new Set(kibana.requests.map((request) => request.authorization))).toEqual(new Set([authorization]));
    expect(Array.from(kibana.objects.values(), ({ type }) => type)).toEqual(['index-pattern', 'search', 'dashboard']);
  });

  test('writes nowhere but where it should, as nobody in particular, into a log that is not its own', async () => {
    const ids = (await compose(files, 'ps', '--all', '--quiet')).trim().split('\n');
    const containers = JSON.parse(await docker.cli(['inspect', ...ids]));
    expect(containers.length).toBeGreaterThan(2);
    for (const { HostConfig: host, Config: config } of containers) {
      expect(host).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'], LogConfig: { Type: 'local' } });
      expect(host.Memory).toBeGreaterThan(0);
      expect(config.User).toMatch(/^(1001:1001|1000:0)$/);
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
    readonly image: string;
    /** Else it is that of the image. */
    readonly user?: string;
  }

  test('has bounds, a log of its own, and no right of root: each service', async () => {
    const all = await services(['docker-compose.yml', 'compose.s3.yml']);
    expect(Object.keys(all).toSorted()).toEqual(
      'bucket elasticsearch elasticsearch-setup first-user kibana kibana-setup nginx s3 shiplog shiplog-2'.split(' '),
    );
    for (const [name, { logging, mem_limit, image, user }] of Object.entries(all)) {
      expect([name, logging.driver, Number(mem_limit) > 0]).toEqual([name, 'local', true]);
      if (image.startsWith('docker.elastic.co/')) expect([name, user]).toEqual([name, '1000:0']);
    }
  });

  test.each(['shiplog', 'kibana-setup'])('is configured by keys that there are: %s', async (name) => {
    const { environment } = (await services(['docker-compose.yml']))[name] ?? { environment: {} };
    const { code, stdout } = await shiplogProcess(['check-config'], environment);
    expect([code, stdout]).toEqual([0, expect.stringContaining('http://elasticsearch:9200')]);
  });
});
