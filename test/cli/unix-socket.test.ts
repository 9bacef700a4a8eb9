import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shiplogProcess } from '../support/command.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
  await writeFile(join(folder, 'file'), 'precious');
});
afterAll(() => rm(folder, { recursive: true }));

test.each([
  ['none/log', 'there is no such folder'],
  ['file', 'it is no socket'],
  ['x'.repeat(200), 'the path is too long'],
])('a unix socket that cannot be made is told by its key: %s', async (name, reason) => {
  const path = join(folder, name);
  const { code, stderr } = await shiplogProcess(['serve'], {
    SHIPLOG_HTTP_LISTEN: '127.0.0.1:0',
    SHIPLOG_INGEST_SYSLOG_TCP: 'off',
    SHIPLOG_INGEST_SYSLOG_UDP: 'off',
    SHIPLOG_INGEST_SYSLOG_UNIX: path,
    SHIPLOG_DATA: join(folder, 'data'),
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^shiplog: ingest\.syslog\.unix is .+\n$/);
  expect(stderr).toContain(`${path}: `);
  expect(stderr).toContain(reason);
});
