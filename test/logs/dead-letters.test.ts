import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SinkError } from '../../ingest/sinks/sink.ts';
import { shiplog } from '../support/command.ts';
import { basic, codeOf, startTestService, type TestService, userLine } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({
    users: userLine('ann', 'pw') + userLine('bob', 'pw'),
    env: { SHIPLOG_AUTH_LOG_READERS: 'ann' },
  });
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(() => {
  service.pipeline.failure = undefined;
  service.pipeline.letters = ['a', 'b', 'c'].map((id) => {
    return { id, at: '2026-11-24T12:00:00.000Z', reason: `no\u001b${id}`, document: `{"big":12345678901234567890}` };
  });
});

const headers = basic('ann', 'pw');
const left = (): string[] => service.pipeline.letters.map(({ id }) => id);

describe('the API', () => {
  test('lists the oldest, and says how many there are', async () => {
    const { status, text } = await service.send('/api/dead-letters?limit=2', { headers });
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({
      letters: ['a', 'b'].map((id) => {
        return { id, at: '2026-11-24T12:00:00.000Z', reason: `no\u001b${id}`, characters: 28 };
      }),
      total: 3,
    });
  });

  test('shows one with its document as it is', async () => {
    const { text } = await service.send('/api/dead-letters/b', { headers });
    expect(text).toContain('"document":{"big":12345678901234567890}}');
    expect(codeOf(await service.send('/api/dead-letters/z', { headers }))).toBe('NOT_FOUND');
  });

  test('sends again and drops those that are named, or all', async () => {
    const replay = await service.send('/api/dead-letters/replay?ids=a', { method: 'POST', headers });
    expect(JSON.parse(replay.text)).toEqual({ taken: 1, kept: 2 });
    const drop = await service.send('/api/dead-letters?ids=b,z', { method: 'DELETE', headers });
    expect(JSON.parse(drop.text)).toEqual({ dropped: 1 });
    expect(left()).toEqual(['c']);
    await service.send('/api/dead-letters?ids=*', { method: 'DELETE', headers });
    expect(left()).toEqual([]);
  });

  test.each([
    ['POST', '/api/dead-letters/replay'],
    ['DELETE', '/api/dead-letters'],
  ])('%s %s without ids does nothing', async (method, path) => {
    const answer = await service.send(path, { method, headers });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'PARAMETER_INVALID']);
    expect(left()).toEqual(['a', 'b', 'c']);
  });

  test('says so when the log store is away', async () => {
    service.pipeline.failure = new SinkError('unavailable', 'away');
    const answer = await service.send('/api/dead-letters/replay?ids=*', { method: 'POST', headers });
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '5']);
  });

  test.each([
    ['GET', '/api/dead-letters'],
    ['GET', '/api/dead-letters/a'],
    ['POST', '/api/dead-letters/replay?ids=*'],
    ['DELETE', '/api/dead-letters?ids=*'],
  ])('%s %s is for those who may read logs', async (method, path) => {
    expect((await service.send(path, { method, headers: basic('bob', 'pw') })).status).toBe(403);
    expect((await service.send(path, { method })).status).toBe(401);
    expect(left()).toEqual(['a', 'b', 'c']);
  });
});

describe('shiplog dead-letters', () => {
  const run = (...args: string[]): ReturnType<typeof shiplog> =>
    shiplog(['dead-letters', ...args, '--url', `http://127.0.0.1:${service.port}`, '--user', 'ann:pw']);

  test('lists, without control characters', async () => {
    const { code, stdout } = await run('list', '--limit', '2');
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^a {2}2026-11-24T12:00:00.000Z {2}no/),
      expect.stringMatching(/^b /),
      'and 1 more',
      '',
    ]);
    expect(stdout).not.toContain('\u001b');
  });

  test('shows one, or says that there is none', async () => {
    expect((await run('show', 'a')).stdout).toContain('12345678901234567890');
    expect(await run('show', 'z')).toMatchObject({ code: 1, stderr: 'shiplog: there is no dead letter z\n' });
  });

  test('replays and drops those that are named, or all', async () => {
    expect(await run('replay', 'a')).toMatchObject({ code: 0, stdout: '1 sent, 2 stay\n' });
    expect(await run('drop', 'b')).toMatchObject({ code: 0, stdout: '1 deleted\n' });
    expect(left()).toEqual(['c']);
    expect((await run('drop')).stdout).toBe('1 deleted\n');
  });

  test('names more ids than a request can hold', async () => {
    const names = Array.from({ length: 1000 }, (_, index) => `${index}-${'x'.repeat(50)}`);
    service.pipeline.letters = names.map((id) => ({ id, at: '', reason: '', document: '{}' }));
    expect((await run('drop', ...names.slice(1))).stdout).toBe('999 deleted\n');
    expect(left()).toEqual(names.slice(0, 1));
  });

  test.each([[[]], [['list', 'a']], [['show']], [['show', 'a', 'b']], [['constructor']]])(
    '%j is wrong',
    async (args) => {
      expect(await run(...args)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('Usage: shiplog dead-letters'),
      });
    },
  );
});
