import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { type Clone, freshClone, mapped } from '../docs/clone.ts';
import { blocksOf } from '../docs/pages.ts';
import { putWeb } from '../docs/put.ts';
import { freePort, type Server, startServer } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { startElasticsearch } from './support/elasticsearch.ts';
import { registry2Binary } from './support/registry2.ts';

const soon = { timeout: 20_000, interval: 200 };

let docker: Docker;
beforeAll(async () => {
  docker = await startDocker();
  // Instead of Docker Hub's, which no test asks for.
  await docker.buildBusybox('busybox');
});
afterAll(() => docker?.[Symbol.asyncDispose]());

/** What all pages have in common, and what that is here: who is asked for a password, and containers without a bridge. */
const everywhere = [
  ['npx shiplog htpasswd ci ', 'echo right | npx shiplog htpasswd ci '],
  ['docker login ', 'echo right | docker login --username ci --password-stdin '],
  ['curl -u ci ', 'curl -u ci:right '],
  ['docker run ', 'docker run --rm --network=host '],
  ['jq -r .token', "node -p 'JSON.parse(fs.readFileSync(0)).token'"],
] as const;

/** A page's commands as they are typed here, block by block. */
function commands(page: string, table: readonly (readonly [string, string])[]): string[] {
  const run = blocksOf(page, 'sh').filter(({ notRun }) => notRun === undefined);
  return run.map(({ text }) => mapped(text, [...table, ...everywhere]));
}

/** A clone in which Docker's client is Debian's, and finds this Docker. */
async function clone(options: { install: boolean }): Promise<Clone & { readonly env: NodeJS.ProcessEnv }> {
  const made = await freshClone(options);
  onTestFinished(() => made[Symbol.asyncDispose]());
  const bin = join(made.folder, '.bin');
  await mkdir(bin);
  await symlink('/usr/bin/docker', join(bin, 'docker'));
  await symlink(registry2Binary, join(bin, 'registry'));
  return { ...made, env: { ...docker.env, PATH: bin } };
}

/** The environment of a clone, in which its command line finds a server. */
function seeing(server: Server, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...server.env, ...env };
}

test('README.md, in a fresh clone, but for its tests', async () => {
  const [http, syslog] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  await using elasticsearch = await startElasticsearch();
  const { shell, serve, ...fresh } = await clone({ install: false });
  const env = {
    ...fresh.env,
    SHIPLOG_HTTP_LISTEN: http,
    SHIPLOG_INGEST_SYSLOG_TCP: syslog,
    SHIPLOG_INGEST_SYSLOG_UDP: syslog,
  };
  const [start = '', users = '', way = '', write = '', images = '', elastic = '', tests] = commands('README.md', [
    ['127.0.0.1:5000', http],
    ['127.0.0.1:5514', syslog],
    ['http://127.0.0.1:9200', elasticsearch.url],
  ]);
  expect(tests).toBe('npm ci && npm test\n');
  {
    await using _server = await serve(start, env);
    await shell(users, env);
    await shell(way, env);
    const search = async (): Promise<void> =>
      expect(await shell("npx shiplog logs 'image:team/web hello'", env)).toContain('hello');
    await vi.waitFor(search, soon);
    await shell(write, env);
    await vi.waitFor(async () => expect(await shell('npx shiplog logs --since 5m', env)).toContain('from curl'), soon);
    expect(await shell(images, env)).toContain('1.4');
  }
  await using _server = await serve(elastic, env);
  // The search alone fails until there is an index.
  await shell(write.split('\n')[0] ?? '', env);
  await vi.waitFor(async () => expect(await shell('npx shiplog logs --since 5m', env)).toContain('from curl'), soon);
}, 600_000);

test('docs/images.md', async () => {
  await using server = await startServer();
  const { shell, folder, ...made } = await clone({ install: true });
  const image = `127.0.0.1:${server.httpPort}/team/web:1.4`;
  await docker.cli(['tag', 'busybox', image]);
  const pushed = await docker.cli(['push', image]);
  await writeFile(join(folder, 'config.yml'), 'version: 0.1\nstorage: { filesystem: { rootdirectory: /srv } }\n');
  const printed: string[] = [];
  for (const block of commands('docs/images.md', [
    ['sha256:…', /sha256:[\da-f]{64}(?= size)/.exec(pushed)?.[0] ?? ''],
    ['/etc/docker/registry/config.yml', 'config.yml'],
  ])) {
    // The first block removes it.
    await docker.cli(['push', image]);
    printed.push(await shell(block, seeing(server, made.env)));
  }
  expect(printed).toEqual([
    expect.stringContaining('team/web'),
    expect.stringContaining('Loaded image: team/web:1.4'),
    '',
  ]);
});

test('docs/registry2.md', async () => {
  const { shell, serve, folder, env } = await clone({ install: true });
  const root = join(folder, 'registry');
  const config = `version: 0.1\nstorage: { filesystem: { rootdirectory: ${root} }, delete: { enabled: true } }\n`;
  await writeFile(join(folder, 'config.yml'), config);
  const http = `127.0.0.1:${await freePort()}`;
  const settings = { SHIPLOG_HTTP_LISTEN: http, SHIPLOG_INGEST_SYSLOG_TCP: 'off', SHIPLOG_INGEST_SYSLOG_UDP: 'off' };
  const [start = '', cache = '', collect = ''] = commands('docs/registry2.md', [
    ['/var/lib/registry', root],
    ['/etc/docker/registry/config.yml', 'config.yml'],
  ]);
  {
    await using _server = await serve(start, { ...env, ...settings });
    await putWeb(`http://${http}`);
  }
  await shell(cache, env);
  expect(await shell(collect, env)).toContain('4 blobs marked, 0 blobs and 0 manifests eligible for deletion');
});

test('docs/rules.md', async () => {
  const { shell, folder, env } = await clone({ install: true });
  await writeFile(join(folder, 'shiplog.yml'), blocksOf('docs/rules.md', 'yaml')[0]?.text ?? '');
  await writeFile(join(folder, 'lines.txt'), 'Bearer 0123456789\n');
  await docker.cli(['run', '--name=web', '--network=host', 'busybox', 'echo', 'hello']);
  onTestFinished(async () => void (await docker.cli(['rm', 'web'])));
  expect(await shell(commands('docs/rules.md', [])[0] ?? '', env)).toMatch(/redacted[^]*hello/);
});

test('docs/senders.md', async () => {
  const [forward, gelf] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const { shell, folder, env } = await clone({ install: true });
  await writeFile(join(folder, 'tokens'), 'prod d3b07384d113edec49eaa6238ad5ff00 cluster=prod\n');
  await using server = await startServer({
    SHIPLOG_INGEST_FORWARD_LISTEN: forward,
    SHIPLOG_INGEST_GELF_UDP: gelf,
    SHIPLOG_INGEST_HTTP_TOKENS_FILE: join(folder, 'tokens'),
  });
  // The tag of the first block is that of the others.
  const script = commands('docs/senders.md', [
    ['shiplog.corp:24224', forward],
    ['shiplog.corp:12201', gelf],
    ['https://shiplog.corp', server.url],
    ['=TOKEN ', '=d3b07384d113edec49eaa6238ad5ff00 '],
    ['…', 'busybox echo hello'],
  ]).join('\n');
  await shell(script, env);
  const drivers = async (): Promise<string> => shell("npx shiplog logs --json 'hello'", seeing(server, env));
  await vi.waitFor(async () => expect((await drivers()).match(/"message":"hello"/g)).toHaveLength(3), soon);
});

test('docs/users.md', async () => {
  const { shell, folder, env } = await clone({ install: true });
  const config = join(folder, 'shiplog.yml');
  await writeFile(config, blocksOf('docs/users.md', 'yaml')[0]?.text ?? '');
  await using server = await startServer({ SHIPLOG_CONFIG: config });
  await putWeb(server.url, 'public/base');
  await shell('echo right | npx shiplog htpasswd ann', seeing(server, env));
  const [users = '', token = ''] = commands('docs/users.md', [['https://registry.corp', server.url]]);
  await shell(users, seeing(server, env));
  await vi.waitFor(async () => expect(await shell(token, env)).toContain('"tags":["1.4"]'), soon);
});
