import { expect, test } from 'vitest';
import { startTestService } from '../support/service.ts';

test('the labels of requests are bounded, whatever is asked for', async () => {
  await using service = await startTestService();
  for (let n = 0; n < 20; n += 1) {
    await service.send(`/v2/team/app${n}/manifests/latest`);
    await service.send(`/nothing/${n}`);
    await service.send(`/v2/`, { method: ['GET', 'PUT', 'BREW'][n % 2] ?? 'GET' });
  }
  const page = await service.send('/metrics');
  expect(page.headers['content-type']).toMatch(/^text\/plain; version=/);
  const routes = [
    ...page.text.matchAll(/shiplog_http_request_duration_seconds_count\{route="([^"]*)",code="(\d+)"\} (\d+)/g),
  ];
  expect(routes.map(([, route, code]) => `${code} ${route}`).toSorted()).toEqual([
    '200 /v2{/}',
    '404 /v2/*name/manifests/:reference',
    '404 none',
    '405 none',
  ]);
  expect(routes.reduce((sum, [, , , count]) => sum + Number(count), 0)).toBe(60);
  expect(page.text).toContain('process_cpu_seconds_total');
});

test('every answer of the registry names its version, also a refusal', async () => {
  await using service = await startTestService();
  for (const [path, headers] of [
    ['/v2/', {}],
    ['/v2/nothing', {}],
    ['/v2/', { forwarded: 'for=1' }],
  ] as const) {
    const answer = await service.send(path, { headers });
    expect(answer.headers['docker-distribution-api-version'], path).toBe('registry/2.0');
  }
  expect((await service.send('/health/live')).headers['docker-distribution-api-version']).toBeUndefined();
});
