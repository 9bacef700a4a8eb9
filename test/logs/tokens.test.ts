import { once } from 'node:events';
import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { openSenderTokens, parseTokens } from '../../src/logs/tokens.ts';
import { openLog } from '../../src/log.ts';
import { type Answer, startTestService, userLine } from '../support/service.ts';

const [one, two] = ['0123456789abcdef', 'fedcba9876543210'];
const until = (check: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 50 });

async function fileWith(text: string): Promise<AsyncDisposable & { readonly file: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-tokens-'));
  const file = join(folder, 'tokens');
  await writeFile(file, text);
  return { file, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test('a line is a name, a token, and what its senders belong to', () => {
  const text = `# comment\n\n  web ${one}  cluster=prod\r\nbuild\t${two} host=b=1 cluster=ci\n`;
  expect([...parseTokens(text).values()]).toEqual([
    { name: 'web', cluster: 'prod' },
    { name: 'build', host: 'b=1', cluster: 'ci' },
  ]);
});

test.each([
  ['no token', 'web', /line 1: .*at least 16/],
  ['a token that can be guessed', 'web 0123456789abcde', /at least 16/],
  ['a token that is no ASCII', 'web 0123456789abcdeü', /ASCII/],
  ['another tag', `web ${one} color=red`, /line 1: .*cluster=… and host=…/],
  ['an empty tag', `web ${one} host=`, /only cluster/],
  ['a name twice', `a ${one}\na ${two}`, /line 2: .*name already/],
  ['a token twice', `a ${one}\nb ${one}`, /line 2: .*another name/],
])('%s is refused by its line, and no token is told', (_, text, message) => {
  expect(() => parseTokens(text)).toThrow(message);
  expect(() => parseTokens(text)).not.toThrow(one);
});

test('a file that is not there, or is broken, keeps the service from starting, by the name of its key', async () => {
  const start = (file: string): Promise<unknown> =>
    startTestService({ env: { SHIPLOG_INGEST_HTTP_TOKENS_FILE: file } });
  await expect(start('/nonexistent/tokens')).rejects.toThrow(/^ingest\.http\.tokens_file is \/nonexistent\/tokens/);
  await using broken = await fileWith('web short');
  await expect(start(broken.file)).rejects.toThrow(/ingest\.http\.tokens_file .*line 1/);
});

test('a change counts; a broken file leaves the tokens as they are, and one that is gone leaves none', async () => {
  await using tokens = await fileWith(`a ${one}\n`);
  using found = await openSenderTokens(tokens.file, openLog({ write: () => undefined }));
  expect(found.find(one)).toEqual({ name: 'a' });
  expect([found.find(two), found.find(''), found.givesCluster('prod')]).toEqual([undefined, undefined, false]);
  await writeFile(tokens.file, `b ${two} cluster=prod\n`);
  await until(() => expect(found.find(two)).toEqual({ name: 'b', cluster: 'prod' }));
  expect([found.find(one), found.givesCluster('prod')]).toEqual([undefined, true]);
  await writeFile(tokens.file, 'c broken\n');
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(found.find(two)).toEqual({ name: 'b', cluster: 'prod' });
  await unlink(tokens.file);
  await until(() => expect(found.find(two)).toBeUndefined());
});

test('a token lets its senders send, and do nothing else; their receipt says whose it is and where they belong', async () => {
  await using tokens = await fileWith(`web ${one} cluster=prod host=h1\nplain ${two}\n`);
  await using service = await startTestService({
    users: userLine('ann', 'pw'),
    env: { SHIPLOG_INGEST_HTTP_TOKENS_FILE: tokens.file, SHIPLOG_INGEST_TAGS_SOURCES: '127.0.0.0/8=near' },
  });
  const ask = (path: string, authorization: string, method = 'POST'): Promise<Answer> => {
    const json = { authorization, 'content-type': 'application/json' };
    return service.send(path, { method, headers: json, ...(method === 'POST' && { body: '{"event":"a"}' }) });
  };
  const collector = '/services/collector/event/1.0';
  for (const [path, authorization, status] of [
    ['/logs', `Bearer ${one}`, 200],
    [collector, `Splunk ${one}`, 200],
    [collector, `splunk ${two}`, 200],
    ['/logs', `Bearer ${two}x`, 401],
    ['/logs', `Basic ${one}`, 401],
    [collector, `Splunk ${one.toUpperCase()}`, 403],
  ] as const) {
    expect([path, authorization, (await ask(path, authorization)).status]).toEqual([path, authorization, status]);
  }
  for (const [path, method] of [
    ['/api/logs', 'GET'],
    ['/metrics', 'GET'],
    ['/v2/', 'GET'],
    ['/v2/_catalog', 'GET'],
  ] as const) {
    expect([path, (await ask(path, `Bearer ${one}`, method)).status]).toEqual([path, 401]);
  }
  const [first, second, third] = service.pipeline.blocks.map(({ source }) => source);
  expect(first).toMatchObject({ listener: 'http', token: 'web', cluster: 'prod', host: 'h1' });
  expect(second).toMatchObject({ listener: 'hec', token: 'web', cluster: 'prod', host: 'h1' });
  expect(third).toMatchObject({ listener: 'hec', token: 'plain', cluster: 'near' });
  expect(JSON.stringify(service.logged)).not.toContain(one);
  expect(service.logged.filter(({ token }) => token === 'web')).toHaveLength(2);
});

test('a connection that shows another token is another sender', async () => {
  await using tokens = await fileWith(`web ${one} cluster=a\nplain ${two} cluster=b\n`);
  await using service = await startTestService({ env: { SHIPLOG_INGEST_HTTP_TOKENS_FILE: tokens.file } });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (const token of [one, one, two]) {
    const headers = { authorization: `Splunk ${token}` };
    const options = { port: service.port, path: '/services/collector', method: 'POST', agent, headers };
    const [answer] = await once(request(options).end('{"event":"a"}'), 'response');
    answer.resume();
    await once(answer, 'end');
  }
  agent.destroy();
  const [first, second, third] = service.pipeline.blocks.map(({ source }) => source);
  expect(second).toEqual(first);
  expect(first).toMatchObject({ token: 'web', cluster: 'a' });
  expect(third).toMatchObject({ token: 'plain', cluster: 'b', peer: first?.peer });
  expect(third?.connection).not.toBe(first?.connection);
});

test('where there are tokens a wrong one is refused, also while there are no users', async () => {
  await using tokens = await fileWith(`web ${one}\n`);
  await using service = await startTestService({ env: { SHIPLOG_INGEST_HTTP_TOKENS_FILE: tokens.file } });
  const send = async (headers: Record<string, string>): Promise<number> =>
    (await service.send('/services/collector', { method: 'POST', headers, body: '{"event":"a"}' })).status;
  expect(await send({ authorization: `Splunk ${two}` })).toBe(403);
  expect(await send({ authorization: `Splunk ${one} ${one}` })).toBe(403);
  expect(await send({ authorization: `Splunk ${one}` })).toBe(200);
  expect(await send({})).toBe(200);
});
