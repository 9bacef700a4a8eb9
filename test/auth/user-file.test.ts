import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Access, openUserFile, type UserFile } from '../../src/auth/user-file.ts';
import { userLine } from '../support/service.ts';

let folder: string;
let file: string;
let logged: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
  file = join(folder, 'htpasswd');
  logged = [];
});
afterEach(() => rm(folder, { recursive: true }));

const ann = userLine('ann', 'a');

function open(): Promise<UserFile> {
  const log = pino({}, { write: (line) => void logged.push(line) });
  return openUserFile({ file, seenFile: join(folder, 'seen'), log });
}

function names(access: Access): string[] | string {
  return access.mode === 'users' ? [...access.users.keys()] : access.mode;
}

/** What is done to the file, and who gets in after it. */
const steps: Readonly<Record<string, () => Promise<void>>> = {
  good: () => writeFile(file, ann),
  other: () => writeFile(file, userLine('bob', 'b')),
  broken: () => writeFile(file, 'ann:plain\n'),
  empty: () => writeFile(file, ''),
  absent: () => rm(file),
};

test.each<[string, [step: string, access: string[] | string][]]>([
  ['never seen: open', []],
  [
    'with a good line: its users',
    [
      ['good', ['ann']],
      ['other', ['bob']],
    ],
  ],
  [
    'seen once and now absent: nobody',
    [
      ['good', ['ann']],
      ['absent', 'closed'],
    ],
  ],
  [
    'there again: its users',
    [
      ['good', ['ann']],
      ['absent', 'closed'],
      ['other', ['bob']],
    ],
  ],
  [
    'broken: as before',
    [
      ['good', ['ann']],
      ['broken', ['ann']],
      ['empty', ['ann']],
      ['absent', 'closed'],
      ['broken', 'closed'],
    ],
  ],
  [
    'broken from the start: as before',
    [
      ['broken', 'open'],
      ['absent', 'open'],
      ['good', ['ann']],
    ],
  ],
])('%s', async (_what, story) => {
  using users = await open();
  expect(names(users.access)).toBe('open');
  for (const [step, access] of story) {
    await steps[step]?.();
    await users.refresh();
    expect(names(users.access), step).toEqual(access);
  }
});

test('that users were seen is remembered by the next process', async () => {
  await writeFile(file, ann);
  (await open())[Symbol.dispose]();
  await rm(file);
  using later = await open();
  expect(names(later.access)).toBe('closed');
  await steps['broken']?.();
  await later.refresh();
  expect(names(later.access)).toBe('closed');
});

test('a broken file is logged once, and so are lines that are not taken', async () => {
  await writeFile(file, `${ann}bob:plain\n`);
  using users = await open();
  await steps['broken']?.();
  await users.refresh();
  await users.refresh();
  expect(logged.filter((line) => line.includes('broken'))).toHaveLength(1);
  expect(logged.filter((line) => line.includes('not taken'))).toHaveLength(1);
  expect(logged.join('')).not.toContain('$2b$');
});

test('a file that another took the place of, of equal size, is read again', async () => {
  await writeFile(file, ann);
  using users = await open();
  await writeFile(`${file}.new`, userLine('bob', 'b'));
  await rename(`${file}.new`, file);
  await users.refresh();
  expect(names(users.access)).toEqual(['bob']);
});
