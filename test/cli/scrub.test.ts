import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { openStore } from '../../storage/store.ts';
import { shiplog } from '../support/command.ts';
import { image, pushImage } from '../support/images.ts';

const pushed = image({ seed: 5, layerSizes: [3000, 2000] });
const folders: string[] = [];
let root: string;
let env: Record<string, string>;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
  folders.push(root);
  env = { SHIPLOG_DATA: '/nowhere', SHIPLOG_STORAGE_DISK_ROOT: root };
  await push();
});
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function push(): Promise<void> {
  await using store = await openStore({ driver: await openDisk({ root }), indexMaxAge: 0 });
  await pushImage(store, 'team/web', pushed, '1.4');
}

/** Where a blob is. */
function fileOf(digest: string): string {
  const hex = digest.slice(7);
  return join(root, `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`);
}

test('it says what is rotten and which tags are hurt, with 1, until they are pushed again', async () => {
  const { digest, bytes } = pushed.layers[0] ?? pushed.config;
  expect(await shiplog(['scrub'], env)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^finished: 4 blobs, [\d.]+ KiB read, 0 rotten\n$/),
  });
  const rotten = Buffer.from(bytes);
  rotten[7] = (rotten[7] ?? 0) ^ 1;
  await writeFile(fileOf(digest), rotten);
  const told = [
    `rotten, and put aside until it is pushed again: ${digest}`,
    'hurt, and to be pushed again: team/web:1.4',
    '',
  ];
  const found = await shiplog(['scrub'], env);
  expect([found.code, ...found.stdout.split('\n').slice(1)]).toEqual([1, ...told]);
  expect(found.stdout).toContain(' 1 rotten');
  const again = await shiplog(['scrub'], env);
  expect([again.code, ...again.stdout.split('\n').slice(1)]).toEqual([1, ...told]);
  await push();
  expect((await shiplog(['scrub'], env)).code).toBe(0);
  expect(await readFile(fileOf(digest))).toEqual(bytes);
});

test('of storage that is read-only all is read and told, with 1 for what is rotten, and nothing is moved', async () => {
  const { digest, bytes } = pushed.layers[0] ?? pushed.config;
  const readOnly = { ...env, SHIPLOG_STORAGE_READ_ONLY: 'true' };
  const note = 'nothing is put aside or put back: storage.read_only is true';
  const sound = await shiplog(['scrub'], readOnly);
  expect([sound.code, ...sound.stdout.split('\n').slice(1)]).toEqual([0, note, '']);
  const rotten = Buffer.alloc(bytes.length);
  await writeFile(fileOf(digest), rotten);
  const found = await shiplog(['scrub'], readOnly);
  expect([found.code, ...found.stdout.split('\n').slice(1)]).toEqual([
    1,
    note,
    `rotten, and left where it is: ${digest}`,
    'hurt, and to be pushed again: team/web:1.4',
    '',
  ]);
  expect(await readFile(fileOf(digest))).toEqual(rotten);
});

test('what is no blob by its name is told of, and is no failure', async () => {
  await writeFile(`${fileOf(pushed.config.digest)}.tmp`, 'x');
  const { code, stdout } = await shiplog(['scrub'], env);
  expect([code, stdout]).toEqual([0, expect.stringContaining('data.tmp')]);
});

test('a signal breaks it off, and the next one goes on', async () => {
  const started = join(root, 'docker/registry/v2/_shiplog/uploads');
  await rm(started, { recursive: true });
  const main = join(resolve(import.meta.dirname, '../..'), 'src/main.ts');
  const child = spawn(process.execPath, [main, 'scrub', '--rate', '1KiB'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = text(child.stdout);
  await vi.waitFor(() => access(started), 10_000);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  expect(await output).toMatch(/^broken off; the next scrub goes on from here: /);
  expect(code).toBe(0);
  expect((await shiplog(['scrub'], env)).stdout).toMatch(/^finished: /);
});

test.each([
  ['a rate that is none', ['--rate', 'fast'], 2, '--rate: expected a size'],
  ['a rate of nothing', ['--rate', '0B'], 2, '--rate: expected a size'],
])('%s is told of', async (_what, args, code, message) => {
  const outcome = await shiplog(['scrub', ...args], env);
  expect(outcome).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(message) });
});
