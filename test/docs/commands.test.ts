import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { openDeadLetters } from '../../ingest/sinks/dead-letters.ts';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { quiet } from '../support/log.ts';
import { type Server, startServer } from '../support/server.ts';
import { freshClone, mapped } from './clone.ts';
import { blocksOf, pages, root } from './pages.ts';
import { putWeb } from './put.ts';

/** The test that runs a page's commands: all of a page in order, in one folder. */
const ranBy: Readonly<Record<string, string>> = {
  'README.md': 'test/peers/readme.test.ts',
  'docs/doctor.md': 'test/docs/commands.test.ts',
  'docs/images.md': 'test/peers/readme.test.ts',
  'docs/log-store.md': 'test/docs/commands.test.ts',
  'docs/operations.md': 'test/docs/backup.test.ts',
  'docs/registry2.md': 'test/peers/readme.test.ts',
  'docs/rules.md': 'test/peers/readme.test.ts',
  'docs/searching.md': 'test/docs/commands.test.ts',
  'docs/senders.md': 'test/peers/readme.test.ts',
  'docs/storage.md': 'test/docs/commands.test.ts',
  'docs/tls.md': 'test/peers/tls.test.ts',
  'docs/users.md': 'test/peers/readme.test.ts',
};

vi.setConfig({ testTimeout: 120_000 });

/** What stands in the pages, and what that is here. */
const table = [
  [' ID ', ' one '],
  ['[ID...]', 'one'],
  // It goes on until it is ended.
  ["npx shiplog logs 'level:error' --follow", "timeout 5 npx shiplog logs 'level:error' --follow || test $? = 124"],
] as const;

test('whoever adds commands to a page says which test runs them, or above them why none does', () => {
  const all = pages().flatMap((page) => blocksOf(page, 'sh'));
  const ran = new Set(all.filter(({ notRun }) => notRun === undefined).map(({ page }) => page));
  expect([...ran].toSorted()).toEqual(Object.keys(ranBy).toSorted());
  expect(Object.values(ranBy).filter((file) => !existsSync(join(root, file)))).toEqual([]);
  expect(all.flatMap(({ page, notRun }) => (notRun === undefined ? [] : [`${page}: ${notRun}`])))
    .toMatchInlineSnapshot(`
      [
        "docs/bench.md: it takes twenty minutes",
        "docs/nginx.md: it takes this machine's nginx; test/peers/nginx.test.ts runs the files that are copied here",
        "docs/nginx.md: it takes a service of this machine, and its nginx",
        "docs/tls.md: only Docker is told here who registry.corp is",
      ]
    `);
  const others = pages().filter((page) => blocksOf(page, 'console').length > 0);
  expect(others).toMatchInlineSnapshot(`
    [
      "docs/deploy.md",
      "docs/workers.md",
    ]
  `);
});

test('each configuration in the pages can be used', () => {
  const wrong = pages()
    .flatMap((page) => blocksOf(page, 'yaml'))
    .filter(({ notRun }) => notRun === undefined)
    .map(({ page, line, text }) => `${page}:${line} ${problems(text)}`)
    .filter((text) => !text.endsWith(' '));
  expect(wrong).toEqual([]);
});

/** What is wrong with a configuration; nothing where that is empty. Files that it names need not be there. */
function problems(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'shiplog-test-'));
  try {
    const file = join(folder, 'shiplog.yml');
    writeFileSync(file, text.replaceAll(/((?:key|password)_file): [^\s,}]+/g, '$1: secret'));
    writeFileSync(join(folder, 'secret'), 'a secret');
    loadConfig({ file, env: {} });
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join('; ');
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs the commands of a page beside a server. @returns what each block printed */
async function run(page: string, prepare: (server: Server) => Promise<void>): Promise<string[]> {
  await using server = await startServer();
  await prepare(server);
  await using clone = await freshClone({ install: true });
  const env = { ...server.env, PATH: '' };
  const printed: string[] = [];
  for (const { text } of blocksOf(page, 'sh')) printed.push(await clone.shell(mapped(text, table), env));
  return printed;
}

test('docs/doctor.md', async () => {
  const [doctor, options] = await run('docs/doctor.md', async () => undefined);
  expect(doctor).toContain('syslog over TCP');
  expect(options).toContain('--log-driver');
});

test('docs/log-store.md', async () => {
  const [printed] = await run('docs/log-store.md', async ({ data }) => {
    const directory = join(data, 'dead-letters');
    await using letters = await openDeadLetters({ directory, maxBytes: 1e6, log: quiet });
    await letters.add([
      { id: 'one', reason: 'a test', document: '{"@timestamp":"2026-11-24T12:00:00.000Z","message":"hello"}' },
    ]);
  });
  expect(printed).toMatch(/^one .*a test/m);
});

test('docs/searching.md', async () => {
  const [printed] = await run('docs/searching.md', async ({ url }) => {
    const body = '{"message":"an error","host":"web-1","log.level":"error","image":"team/web:1.4"}';
    await fetch(`${url}/logs`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  });
  expect(printed).toContain('an error');
});

test('docs/storage.md', async () => {
  const [printed] = await run('docs/storage.md', ({ url }) => putWeb(url));
  expect(printed).toMatch(/finished: 4 blobs, .* 0 rotten/);
});
