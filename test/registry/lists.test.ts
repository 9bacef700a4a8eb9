import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { everything } from '../../src/auth/authorize.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const tags = ['V3', '_x', 'a', 'b.1', 'b_2', 'latest', 'v1', 'v10', 'v2'].sort();
const repositories = ['a', 'a/b', 'a-c', 'team/web', 'zoo'].sort();
let registry: Registry;
beforeAll(async () => {
  registry = await startRegistry();
  for (const tag of tags) await registry.image('team/web', tag);
  for (const name of repositories) await registry.image(name, 'latest');
});
afterAll(() => registry[Symbol.asyncDispose]());

async function list(path: string): Promise<{ status: number; entries: string[]; link: string | undefined }> {
  const { status, headers, body } = await registry.call('GET', path);
  const { tags, repositories } = JSON.parse(String(body));
  const link = Array.isArray(headers.link) ? headers.link[0] : headers.link;
  return { status, entries: tags ?? repositories, link };
}

describe.each([
  ['/v2/team/web/tags/list', tags],
  ['/v2/_catalog', repositories],
])('%s', (path, all) => {
  test('lists all of them, in byte order', async () => {
    expect(await list(path)).toEqual({ status: 200, entries: all, link: undefined });
  });

  test('following Link with any n visits each once, and no page is empty', async () => {
    for (let n = 1; n <= all.length + 1; n += 1) {
      const seen: string[] = [];
      for (let next: string | undefined = `${path}?n=${n}`; next !== undefined;) {
        const { entries, link } = await list(next);
        expect(entries.length).toBeGreaterThan(0);
        expect(entries.length).toBeLessThanOrEqual(n);
        seen.push(...entries);
        next = link === undefined ? undefined : /^<(\/v2\/[^>]*)>; rel="next"$/.exec(link)?.[1];
        if (link !== undefined) expect(next, link).toBeDefined();
      }
      expect(seen).toEqual(all);
    }
  });

  test('last is exclusive, works without n, and is a place rather than an entry', async () => {
    expect((await list(`${path}?last=${encodeURIComponent(all[1] ?? '')}`)).entries).toEqual(all.slice(2));
    expect((await list(`${path}?last=${encodeURIComponent(`${all[1]}!`)}`)).entries).toEqual(all.slice(2));
    expect((await list(`${path}?last=~`)).entries).toEqual([]);
    expect((await list(`${path}?last=`)).entries).toEqual(all);
    expect((await list(`${path}?last=..%2F..%2Fetc%00&n=3`)).status).toBe(200);
  });

  test('n=0 is an empty list without Link', async () => {
    expect(await list(`${path}?n=0`)).toEqual({ status: 200, entries: [], link: undefined });
  });

  test.each(['2147483648', '9007199254740993', '9'.repeat(400)])('a huge n (%s) costs nothing', async (n) => {
    expect(await list(`${path}?n=${n}`)).toEqual({ status: 200, entries: all, link: undefined });
  });

  test.each(['-1', '', 'x', '1.5', '1e3', '0x10', ' 1', '%00'])('n=%s is 400', async (n) => {
    const answer = await registry.call('GET', `${path}?n=${encodeURI(n)}`);
    expect([answer.status, answer.code]).toEqual([400, 'PAGINATION_NUMBER_INVALID']);
  });
});

test('tags/list names the repository', async () => {
  const { headers, body } = await registry.call('GET', '/v2/zoo/tags/list');
  expect(headers['content-type']).toMatch(/^application\/json/);
  expect(JSON.parse(String(body))).toEqual({ name: 'zoo', tags: ['latest'] });
});

test('a repository that is not there is 404 NAME_UNKNOWN, also with n=0', async () => {
  for (const path of ['/v2/nowhere/tags/list', '/v2/nowhere/tags/list?n=0']) {
    const answer = await registry.call('GET', path);
    expect([answer.status, answer.code]).toEqual([404, 'NAME_UNKNOWN']);
  }
});

test('a page holds 10,000 entries at most, and Link says where it goes on', async () => {
  await using registry = await startRegistry();
  const asked: unknown[] = [];
  Object.assign(registry.store.tags, {
    list: async (_name: string, page: object) => {
      asked.push(page);
      return { tags: ['a', 'b'], more: true };
    },
  });
  const { headers } = await registry.call('GET', '/v2/app/tags/list?n=999999999');
  expect(asked).toEqual([{ limit: 10_000 }]);
  expect(headers.link).toBe('</v2/app/tags/list?n=10000&last=b>; rel="next"');
});

test('the catalog has only what the caller may pull, in pages that are as full as any', async () => {
  const pulls = new Set(['a/b', 'team/web', 'zoo']);
  const rights = {
    ...everything('ci'),
    may: (action: string, name: string) => action !== 'pull' || pulls.has(name),
  };
  await using registry = await startRegistry({ rights });
  for (const name of repositories) await registry.image(name, 'latest');
  const page = await registry.call('GET', '/v2/_catalog?n=2');
  expect(JSON.parse(String(page.body))).toEqual({ repositories: ['a/b', 'team/web'] });
  expect(page.headers.link).toBe('</v2/_catalog?n=2&last=team%2Fweb>; rel="next"');
  const rest = await registry.call('GET', '/v2/_catalog?n=2&last=team%2Fweb');
  expect([JSON.parse(String(rest.body)), rest.headers.link]).toEqual([{ repositories: ['zoo'] }, undefined]);
});
