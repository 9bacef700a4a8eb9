import { access, mkdir, mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { codeOf, startTestService } from '../support/service.ts';

let data: string;
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
});
afterAll(() => rm(data, { recursive: true }));

const start = '/v2/app/blobs/uploads/';

test('with storage.read_only the service takes nothing, and touches nothing', async () => {
  const litter = join(data, 'registry/docker/registry/v2/_shiplog/tmp/old');
  await mkdir(litter, { recursive: true });
  await utimes(litter, 1, 1);
  {
    await using service = await startTestService({ data, env: { SHIPLOG_STORAGE_READ_ONLY: 'true' } });
    const answer = await service.send(start, { method: 'POST' });
    expect([answer.status, codeOf(answer)]).toEqual([405, 'UNSUPPORTED']);
    expect((await service.send('/v2/_catalog')).status).toBe(200);
  }
  await access(litter);
  await using service = await startTestService({ data });
  expect((await service.send(start, { method: 'POST' })).status).toBe(202);
  await vi.waitFor(() => expect(access(litter)).rejects.toMatchObject({ code: 'ENOENT' }), 20_000);
});

test('with storage.disk.free_space_reserve beyond what the disk has, the service takes nothing', async () => {
  await using service = await startTestService({ env: { SHIPLOG_STORAGE_DISK_FREE_SPACE_RESERVE: '4000TiB' } });
  const answer = await service.send(start, { method: 'POST' });
  expect([answer.status, codeOf(answer)]).toEqual([507, 'UNAVAILABLE']);
});
